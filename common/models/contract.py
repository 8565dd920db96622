"""What the lifecycle of models asks of a service: a loader, and the engines that it opens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from common.messages import Text
from common.models.catalogue import ModelEntry


class Engine(Protocol):
    """What the registry needs of an engine."""

    def close(self) -> None:
        """Give the memory back. May be called twice."""


@runtime_checkable
class Watched(Protocol):
    """An engine that can stop by itself (a child process, a server)."""

    def watch(self, died: Callable[[Text], None]) -> None:
        """Call `died(reason)` once, from any thread, when the engine stops without `close`; at once if it has."""


@runtime_checkable
class Measured(Protocol):
    """An engine that knows what it takes."""

    def memory_bytes(self) -> int:
        """Bytes of memory this engine holds now, measured; 0 when it is gone. Cheap, any thread, never raises."""


E = TypeVar("E", bound=Engine)
E_co = TypeVar("E_co", bound=Engine, covariant=True)


class Loader(Protocol[E_co]):
    """How one service fetches and loads its models. Called from several threads, never with a lock held."""

    def downloaded(self, entry: ModelEntry) -> bool:
        """True when the files are here, whole."""

    def download(self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """Fetch the files; `progress(bytes_done, bytes_total)` as they come. Raises `ApiError`.

        Once `cancelled()` is true it soon ends, in any way, keeping what a later call can go on from.
        """

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> E_co:
        """Load from disk; `options` are those of the request (``gpu_device_ids``, ``quantization``), often none.

        Raises `ApiError`, or `MemoryError`.
        """

    def need_bytes(self, entry: ModelEntry) -> int | None:
        """Estimated memory once loaded, or None when it can't be told."""

    def unfit(self, entry: ModelEntry, freed: int = 0) -> Text | None:
        """Why this machine can't run the model now, even with `freed` bytes of memory given back; None when it can."""


@dataclass(frozen=True)
class Lease(Generic[E]):
    """A ready model, held for the time of a call."""

    entry: ModelEntry
    engine: E


@dataclass(frozen=True)
class Selection:
    """Which model serves the calls that name none, and why.

    `meanwhile` names a model to load while the chosen one is fetched at start, if any.
    """

    chosen: str
    why: Text
    available_bytes: int | None = None
    rejected: tuple[dict[str, Any], ...] = ()
    meanwhile: str | None = None
