"""The embedded engine's place among diarize's engines: its "download" is a conversion on this machine."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from common.errors import ApiError
from common.messages import Text, _
from common.models.backends import Backend, Placement
from common.models.catalogue import ModelEntry
from diarize.engines.base import DiarizeEngine
from diarize.engines.embedded.checkpoint import CheckpointError
from diarize.engines.embedded.convert import convert, wheel_file

WEIGHTS = Path("models") / "resemblyzer.onnx"  # in DATA_DIR
SHIPPED = Path(__file__).with_name("resemblyzer.onnx")  # in an image, which is made with it
_PARTS = ("silero_vad", "onnxruntime")
_NEED_BYTES = 155 * 2**20  # beside the bare service, at its most on 30 s as on 20 minutes; measured


class EmbeddedBackend(Backend[DiarizeEngine]):
    """Silero VAD, a speaker encoder and clustering, offline."""

    name = "embedded"

    def __init__(self, data_dir: Path) -> None:
        self.weights = SHIPPED if SHIPPED.is_file() else data_dir / WEIGHTS

    def opens(self, entry: ModelEntry) -> bool:  # noqa: ARG002
        """See `Backend`: only what names it."""
        return False

    def missing(self) -> Text | None:
        """See `Backend`."""
        absent = [part for part in _PARTS if find_spec(part) is None]
        if not absent and not self.weights.is_file() and find_spec("resemblyzer") is None:
            absent = ["resemblyzer"]
        return _("Le moteur embarqué n'est pas installé ici (%(parts)s).", parts=absent) if absent else None

    def here(self, entry: ModelEntry) -> bool:
        """See `Backend`."""
        return entry.embedded and self.weights.is_file()

    def fetch(self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:  # noqa: ARG002
        """See `Backend`. Nothing comes from elsewhere. Raises `ApiError` 500 `conversion_failed`."""
        try:
            convert(wheel_file(), self.weights)
        except (OSError, CheckpointError) as error:
            message = _("Les poids du modèle de voix n'ont pas pu être préparés (%(kind)s).", kind=type(error).__name__)
            raise ApiError(500, "conversion_failed", message, "model") from error

    def need_bytes(self, entry: ModelEntry, *, cuda: bool) -> int | None:  # noqa: ARG002
        """See `Backend`."""
        return _NEED_BYTES

    def open(self, entry: ModelEntry, placement: Placement) -> DiarizeEngine:  # noqa: ARG002
        """See `Backend`."""
        from diarize.engines.embedded.engine import EmbeddedEngine

        return EmbeddedEngine(self.weights)
