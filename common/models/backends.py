"""The engines of a service that has several (asr, diarize): what each opens, fetches and takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Generic

from common.hub.hub import Hub, Patience
from common.hub.listing import Listing, RemoteFile
from common.messages import Text
from common.models.catalogue import ModelEntry
from common.models.contract import E


@dataclass(frozen=True)
class Placement:
    """Where a model is opened, and where its process logs."""

    use_gpu: bool = False
    gpu_device_ids: tuple[int, ...] = ()
    log_level: str = "INFO"
    log_dir: Path | None = None


class Backend(ABC, Generic[E]):
    """One kind of engine. Nothing heavy is imported by asking.

    An entry of a catalogue names its engines (`ModelEntry.openers`), and the loader asks no others about it.
    """

    name: ClassVar[str]
    uses_gpu: ClassVar[bool] = False

    @abstractmethod
    def opens(self, entry: ModelEntry) -> bool:
        """Whether it can open `entry`, which names no engine, were it installed: its family, its format."""

    @abstractmethod
    def missing(self) -> Text | None:
        """Why it is not installed here, with the remedy; None when it is."""

    @abstractmethod
    def here(self, entry: ModelEntry) -> bool:
        """True when the entry's files are on this disk, whole."""

    @abstractmethod
    def fetch(self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """Bring the files here. Raises `ApiError`."""

    @abstractmethod
    def need_bytes(self, entry: ModelEntry, *, cuda: bool) -> int | None:
        """Memory once loaded, on the GPU with `cuda`, else the machine's; None when it can't be told."""

    def host_bytes(self, entry: ModelEntry) -> int:  # noqa: ARG002
        """The machine's memory that a model on a GPU takes beside."""
        return 0

    @abstractmethod
    def open(self, entry: ModelEntry, placement: Placement) -> E:
        """The loaded engine. Raises `ApiError`."""

    def learn(self, entry: ModelEntry, patience: Patience | None = None) -> None:
        """Ask the hub for the entry's real size, so that `need_bytes` knows it. Raises `ApiError`."""

    def recognises(self, listing: Listing) -> bool:  # noqa: ARG002
        """Whether a repository of the hub that no catalogue lists is a model for this engine."""
        return False


class HubBackend(Backend[E]):
    """An engine whose models come from a hub, or lie in a folder (`ModelEntry.path`)."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._sizes: dict[str, int] = {}

    @abstractmethod
    def choose(self, listing: Listing) -> list[RemoteFile]:
        """The files to fetch, safe ones only. Raises `ApiError` 422 when the model is not of this engine's format."""

    @abstractmethod
    def whole(self, path: Path) -> bool:
        """True when the folder (or file) at `path` has all that the engine opens."""

    def path(self, entry: ModelEntry) -> Path | None:
        """Where the entry's files are, or None when they are not all here."""
        if entry.path is not None:
            return entry.path if self.whole(entry.path) else None
        found = self._hub.snapshot(entry.hub_id, entry.revision) if entry.hub_id else None
        return found if found is not None and self.whole(found) else None

    def here(self, entry: ModelEntry) -> bool:
        """See `Backend`."""
        return self.path(entry) is not None

    def fetch(self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """See `Backend`."""
        assert entry.hub_id is not None  # noqa: S101  the loader refuses what has neither files nor hub
        self._hub.download(entry.hub_id, entry.revision, progress, cancelled, self.choose)

    def learn(self, entry: ModelEntry, patience: Patience | None = None) -> None:
        """See `Backend`."""
        if entry.hub_id is not None and not self.here(entry):
            client = self._hub.client(entry.hub_id, entry.revision)
            listing = (client if patience is None else replace(client, patience=patience)).listing()
            self._sizes[entry.key] = sum(file.size or 0 for file in self.choose(listing))

    def stored_bytes(self, entry: ModelEntry) -> int | None:
        """What the entry's files weigh, from this disk or as the hub said; None when neither was asked."""
        path = self.path(entry)
        if path is None:
            return self._sizes.get(entry.key)
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        return sum(file.stat().st_size for file in files)

    def disk_bytes(self, entry: ModelEntry) -> int | None:
        """What the entry takes on the disk, with what opening it writes beside; None when nobody has said."""
        return self.stored_bytes(entry)
