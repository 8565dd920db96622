"""The demonstration engine's place among asr's engines: its model came with the requirements."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from asr.engines.base import AsrEngine
from common.machine.resources import read_resources, usable_cpus
from common.messages import Text, _
from common.models.backends import Backend, Placement
from common.models.catalogue import ModelEntry

_PARTS = ("pocketsphinx", "silero_vad")
_DECODER_BYTES = 115 * 2**20  # one process, after a recording; measured
_SERVICE_BYTES = 30 * 2**20  # in the service itself, that finds the speech; measured


class EmbeddedBackend(Backend[AsrEngine]):
    """PocketSphinx: nothing to fetch, one small model."""

    name = "embedded"

    def opens(self, entry: ModelEntry) -> bool:  # noqa: ARG002
        """See `Backend`: only what names it."""
        return False

    def missing(self) -> Text | None:
        """See `Backend`."""
        absent = [part for part in _PARTS if find_spec(part) is None]
        return _("Le moteur embarqué n'est pas installé ici (%(parts)s).", parts=absent) if absent else None

    def here(self, entry: ModelEntry) -> bool:
        """See `Backend`."""
        return entry.embedded

    def fetch(self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """See `Backend`. Nothing to fetch."""

    def need_bytes(self, entry: ModelEntry, *, cuda: bool) -> int | None:  # noqa: ARG002
        """See `Backend`: with one decoder. Others are started only into memory that is free."""
        return _SERVICE_BYTES + _DECODER_BYTES

    def open(self, entry: ModelEntry, placement: Placement) -> AsrEngine:  # noqa: ARG002
        """See `Backend`."""
        from asr.engines.embedded.engine import EmbeddedEngine

        return EmbeddedEngine(decoders(read_resources(use_gpu=False).memory_available))


def decoders(free: int) -> int:
    """How many decoders may run side by side with `free` bytes: one a core, in half of that memory."""
    return max(1, min(usable_cpus(), free // 2 // _DECODER_BYTES))
