"""Which speech models there are, which engines open them, and which one is chosen."""

from __future__ import annotations

from pathlib import Path

from asr.engines.base import AsrEngine
from asr.engines.embedded.backend import EmbeddedBackend
from asr.engines.nemo.backend import NemoBackend
from asr.engines.transformers.backend import TransformersBackend
from asr.settings import AsrSettings
from common.models.backend_registry import Service
from common.models.hub_registry import HubRegistry


def speech(settings: AsrSettings) -> Service[AsrEngine]:
    """What asr says of its models, as `settings` ask."""
    return Service(
        prefix="ASR",
        models=Path(__file__).with_name("models.toml"),
        backends=lambda hub: (NemoBackend(hub), TransformersBackend(hub), EmbeddedBackend()),
        settings=settings,
        model=settings.asr_model,
        engine=settings.asr_engine,
    )


def build_registry(settings: AsrSettings) -> HubRegistry[AsrEngine]:
    """The catalogue and the choice that ASR_MODEL makes. Raises SettingsError when that model can't run here."""
    return speech(settings).registry()
