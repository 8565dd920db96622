"""Which speech models there are, which can run here, and which one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from asr.engines.base import AsrEngine
from asr.settings import AsrSettings
from common.errors import ApiError
from common.messages import Text
from common.models.catalogue import ModelEntry, load_catalogue
from common.models.installed import InstalledRegistry, choose_installed, judge_installed, not_installed
from common.models.selector import too_big

MIB = 1024 * 1024
_EMBEDDED_BYTES = 110 * MIB  # of one decoder process, measured


def missing(entry: ModelEntry) -> Text | None:
    """Why the entry's engine can't run in this environment, or None."""
    here = entry.engine == "embedded" and find_spec("pocketsphinx") and find_spec("silero_vad")
    return None if here else not_installed(entry)


class AsrLoader:
    """Loads the engines of this environment."""

    def downloaded(self, entry: ModelEntry) -> bool:
        return entry.embedded  # its files came with the requirements

    def download(
        self,
        entry: ModelEntry,
        progress: Callable[[int, int], None],  # noqa: ARG002
        cancelled: Callable[[], bool],  # noqa: ARG002
    ) -> None:
        raise ApiError(501, "engine_not_installed", not_installed(entry), "model")

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> AsrEngine:  # noqa: ARG002
        if entry.engine != "embedded":
            raise ApiError(501, "engine_not_installed", not_installed(entry), "model")
        from asr.engines.embedded.engine import EmbeddedEngine

        return EmbeddedEngine()

    def need_bytes(self, entry: ModelEntry) -> int | None:
        return _EMBEDDED_BYTES if entry.engine == "embedded" else None

    def unfit(self, entry: ModelEntry, freed: int = 0) -> Text | None:
        return too_big(entry.key, judge_installed(entry, missing, self, freed))


def build_registry(settings: AsrSettings) -> InstalledRegistry[AsrEngine]:
    """The catalogue and the choice that ASR_MODEL makes. Raises SettingsError when that model can't run here."""
    catalogue = load_catalogue(Path(__file__).with_name("models.toml"))
    loader = AsrLoader()
    selection = choose_installed("ASR_MODEL", settings.asr_model, catalogue, missing, loader)
    return InstalledRegistry(catalogue, loader, selection, missing)
