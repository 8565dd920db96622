"""Which diarization models there are, which engines open them, and which one is chosen."""

from __future__ import annotations

from pathlib import Path

from common.models.backend_registry import Service
from common.models.hub_registry import HubRegistry
from diarize.engines.base import DiarizeEngine
from diarize.engines.embedded.backend import EmbeddedBackend
from diarize.engines.pyannote.backend import PyannoteBackend
from diarize.settings import DiarizeSettings


def diarization(settings: DiarizeSettings) -> Service[DiarizeEngine]:
    """What diarize says of its models, as `settings` ask."""
    return Service(
        prefix="DIARIZE",
        models=Path(__file__).with_name("models.toml"),
        backends=lambda hub: (PyannoteBackend(hub), EmbeddedBackend(settings.data_dir)),
        settings=settings,
        model=settings.diarize_model,
        engine=settings.diarize_engine,
    )


def build_registry(settings: DiarizeSettings) -> HubRegistry[DiarizeEngine]:
    """The catalogue and the choice that DIARIZE_MODEL makes. Raises SettingsError when that model can't run here."""
    return diarization(settings).registry()
