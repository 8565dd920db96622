"""Which diarization models there are, which can run here, and which one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common.errors import ApiError
from common.messages import Text, _
from common.models.catalogue import ModelEntry, load_catalogue
from common.models.installed import InstalledRegistry, choose_installed, judge_installed, not_installed
from common.models.selector import too_big
from diarize.engines.base import DiarizeEngine
from diarize.engines.embedded.checkpoint import CheckpointError
from diarize.engines.embedded.convert import convert, wheel_file
from diarize.settings import DiarizeSettings

MIB = 1024 * 1024
_EMBEDDED_BYTES = 110 * MIB  # beside the bare service, after a recording; measured
WEIGHTS = Path("models") / "resemblyzer.npz"


def missing(entry: ModelEntry) -> Text | None:
    """Why the entry's engine can't run in this environment, or None."""
    parts = ("silero_vad", "resemblyzer", "onnxruntime", "scipy")
    here = entry.engine == "embedded" and all(find_spec(part) for part in parts)
    return None if here else not_installed(entry)


class DiarizeLoader:
    """Loads the engines of this environment. The embedded one's "download" is a conversion on this machine."""

    def __init__(self, data_dir: Path) -> None:
        self.weights = data_dir / WEIGHTS

    def downloaded(self, entry: ModelEntry) -> bool:
        return entry.engine == "embedded" and self.weights.is_file()

    def download(
        self,
        entry: ModelEntry,
        progress: Callable[[int, int], None],  # noqa: ARG002
        cancelled: Callable[[], bool],  # noqa: ARG002
    ) -> None:
        if entry.engine != "embedded":
            raise ApiError(501, "engine_not_installed", not_installed(entry), "model")
        try:
            convert(wheel_file(), self.weights)
        except (OSError, CheckpointError) as error:
            message = _("Les poids du modèle de voix n'ont pas pu être préparés (%(kind)s).", kind=type(error).__name__)
            raise ApiError(500, "conversion_failed", message, "model") from error

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> DiarizeEngine:  # noqa: ARG002
        if entry.engine != "embedded":
            raise ApiError(501, "engine_not_installed", not_installed(entry), "model")
        from diarize.engines.embedded.engine import EmbeddedEngine

        return EmbeddedEngine(self.weights)

    def need_bytes(self, entry: ModelEntry) -> int | None:
        return _EMBEDDED_BYTES if entry.engine == "embedded" else None

    def unfit(self, entry: ModelEntry, freed: int = 0) -> Text | None:
        return too_big(entry.key, judge_installed(entry, missing, self, freed))


def build_registry(settings: DiarizeSettings) -> InstalledRegistry[DiarizeEngine]:
    """The catalogue and the choice that DIARIZE_MODEL makes. Raises SettingsError when that model can't run here."""
    catalogue = load_catalogue(Path(__file__).with_name("models.toml"))
    loader = DiarizeLoader(settings.data_dir)
    selection = choose_installed("DIARIZE_MODEL", settings.diarize_model, catalogue, missing, loader)
    return InstalledRegistry(catalogue, loader, selection, missing)
