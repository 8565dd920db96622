"""Which speech models there are, which can run here, and which one is chosen."""

from __future__ import annotations

from pathlib import Path

from asr.engines.base import AsrEngine
from asr.settings import AsrSettings
from common.models.catalogue import ModelEntry
from common.models.installed import EmbeddedLoader, InstalledRegistry, build_installed

MIB = 1024 * 1024


class AsrLoader(EmbeddedLoader[AsrEngine]):
    """Loads the engines of this environment."""

    parts = ("pocketsphinx", "silero_vad")
    need = 110 * MIB  # of one decoder process, measured

    def downloaded(self, entry: ModelEntry) -> bool:
        return entry.embedded  # its files came with the requirements

    def open(self) -> AsrEngine:
        from asr.engines.embedded.engine import EmbeddedEngine

        return EmbeddedEngine()


def build_registry(settings: AsrSettings) -> InstalledRegistry[AsrEngine]:
    """The catalogue and the choice that ASR_MODEL makes. Raises SettingsError when that model can't run here."""
    return build_installed("ASR_MODEL", settings.asr_model, Path(__file__).with_name("models.toml"), AsrLoader())
