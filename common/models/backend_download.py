"""`python -m <service>.download_models` of a service with several engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.models.backend_registry import Service
from common.models.catalogue import ModelEntry
from common.models.download_command import DownloadCommand


class BackendDownload(DownloadCommand):
    """Each model by the engine that would open it; a model that is made here (a conversion) is made at once."""

    def __init__(self, service: Service[Any]) -> None:
        self.catalogue = service.catalogue()
        self._loader = service.loader()
        self.hub = self._loader.hub

    def place(self, entry: ModelEntry) -> Path | None:
        """See `DownloadCommand`."""
        return self._loader.path(entry)

    def is_here(self, entry: ModelEntry) -> bool:
        """See `DownloadCommand`."""
        return self._loader.here(entry)

    def fetch(self, entry: ModelEntry, progress: Callable[[int, int], None]) -> None:
        """See `DownloadCommand`."""
        self._loader.bring(entry, progress)

    def weight(self, entry: ModelEntry, path: Path) -> int:  # noqa: ARG002
        """See `DownloadCommand`: with the parts that lie elsewhere."""
        return self._loader.stored_bytes(entry) or 0
