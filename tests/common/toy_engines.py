"""Toy engines over the real hub code: each opens the files of one suffix, and holds nothing in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.errors import ApiError
from common.hub.hub import Hub
from common.hub.listing import Listing, RemoteFile
from common.hub.settings import HubSettings
from common.machine.gpus import Gpu
from common.machine.resources import Resources
from common.messages import Text
from common.models.backend_registry import Service
from common.models.backends import HubBackend, Placement
from common.models.catalogue import ModelEntry
from common.models.installed import not_installed

GB = 10**9
CATALOGUE = """
[[model]]
key = "big"
hub_id = "toys/big"
family = "toy"
parameters = 2_000_000_000
rank = 1
gpu_advised = true
licence = "mit"
engines = ["tar", "box"]

[[model]]
key = "small"
aliases = ["petit"]
hub_id = "toys/small"
family = "toy"
parameters = 100_000_000
rank = 2
licence = "mit"
engines = ["box", "tar"]

[[model]]
key = "shut"
hub_id = "toys/shut"
family = "toy"
parameters = 50_000_000
rank = 3
gated = true
licence = "mit"
engine = "box"
"""


@dataclass
class ToyEngine:
    """What was opened, and how."""

    name: str
    path: Path
    placement: Placement

    def close(self) -> None:
        """Nothing to give back."""


class ToyBackend(HubBackend[ToyEngine]):
    """Opens a ``.tar`` or a ``.box`` file; takes four bytes a parameter, or what the file weighs when it is known."""

    uses_gpu = True

    def __init__(self, hub: Hub, name: str, *, installed: bool = True, beside_bytes: int = 0) -> None:
        super().__init__(hub)
        self.name = name  # type: ignore[misc]  # two of them in one class
        self.installed = installed
        self.beside_bytes = beside_bytes

    def opens(self, entry: ModelEntry) -> bool:
        return entry.path is not None and self.whole(entry.path)

    def missing(self) -> Text | None:
        return None if self.installed else not_installed(self.name)

    def recognises(self, listing: Listing) -> bool:
        return any(file.name.endswith(f".{self.name}") for file in listing.files)

    def choose(self, listing: Listing) -> list[RemoteFile]:
        files = [file for file in listing.files if file.name.endswith(f".{self.name}")]
        if not files:
            raise ApiError(422, "model_unusable", f"no .{self.name} file", "model")
        return files

    def whole(self, path: Path) -> bool:
        return path.suffix == f".{self.name}" if path.is_file() else any(path.glob(f"*.{self.name}"))

    def need_bytes(self, entry: ModelEntry, *, cuda: bool) -> int | None:
        known = self.stored_bytes(entry) or entry.parameters * 4
        return (known // 2 if cuda else known) or None

    def host_bytes(self, entry: ModelEntry) -> int:
        return self.beside_bytes

    def open(self, entry: ModelEntry, placement: Placement) -> ToyEngine:
        path = self.path(entry)
        assert path is not None
        return ToyEngine(self.name, path, placement)


def machine(gigabytes: float, *gpus: float) -> Resources:
    """That much memory, and GPUs with so much each."""
    cards = tuple(Gpu(index, "GPU", int(size * GB), int(size * GB)) for index, size in enumerate(gpus))
    return Resources(int(gigabytes * GB), int(gigabytes * GB), 2.0, cards)


def toys(folder: Path, settings: HubSettings, *, model: str = "auto", engine: str = "auto", **more: bool) -> Service:
    """A service with the catalogue above and the engines tar and box; `more` tells which is installed."""
    models = folder / "models.toml"
    models.write_text(CATALOGUE, encoding="utf-8")
    return Service(
        prefix="TOY",
        models=models,
        backends=lambda hub: [ToyBackend(hub, name, installed=more.get(name, True)) for name in ("tar", "box")],
        settings=settings,
        model=model,
        engine=engine,
    )
