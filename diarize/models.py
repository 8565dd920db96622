"""Which diarization models there are, which can run here, and which one is chosen."""

from __future__ import annotations

from pathlib import Path

from common.errors import ApiError
from common.messages import _
from common.models.catalogue import ModelEntry
from common.models.installed import EmbeddedLoader, InstalledRegistry, build_installed
from diarize.engines.base import DiarizeEngine
from diarize.engines.embedded.checkpoint import CheckpointError
from diarize.engines.embedded.convert import convert, wheel_file
from diarize.settings import DiarizeSettings

MIB = 1024 * 1024
WEIGHTS = Path("models") / "resemblyzer.npz"


class DiarizeLoader(EmbeddedLoader[DiarizeEngine]):
    """Loads the engines of this environment. The embedded one's "download" is a conversion on this machine."""

    parts = ("silero_vad", "resemblyzer", "onnxruntime", "scipy")
    need = 110 * MIB  # beside the bare service, after a recording; measured

    def __init__(self, data_dir: Path) -> None:
        self.weights = data_dir / WEIGHTS

    def downloaded(self, entry: ModelEntry) -> bool:
        return entry.engine == "embedded" and self.weights.is_file()

    def prepare(self) -> None:
        try:
            convert(wheel_file(), self.weights)
        except (OSError, CheckpointError) as error:
            message = _("Les poids du modèle de voix n'ont pas pu être préparés (%(kind)s).", kind=type(error).__name__)
            raise ApiError(500, "conversion_failed", message, "model") from error

    def open(self) -> DiarizeEngine:
        from diarize.engines.embedded.engine import EmbeddedEngine

        return EmbeddedEngine(self.weights)


def build_registry(settings: DiarizeSettings) -> InstalledRegistry[DiarizeEngine]:
    """The catalogue and the choice that DIARIZE_MODEL makes. Raises SettingsError when that model can't run here."""
    models = Path(__file__).with_name("models.toml")
    return build_installed("DIARIZE_MODEL", settings.diarize_model, models, DiarizeLoader(settings.data_dir))
