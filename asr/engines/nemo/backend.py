"""NeMo's place among asr's engines: one `.nemo` archive, opened by a process of NeMo's own environment."""

from __future__ import annotations

from pathlib import Path

from asr.engines.nemo.archive import find_archive, is_unpacked
from asr.engines.process.backend import ProcessBackend
from common.errors import ApiError
from common.hub.listing import Listing, RemoteFile
from common.messages import _
from common.models.catalogue import ModelEntry

_MB = 2**20
_RUNTIME_BYTES = 850 * _MB  # NeMo, torch and all they import, measured on a CPU: 700 to 760 MB
_BATCH_BYTES = 700 * _MB  # 80 seconds of sound at once, in float32
_CUDA_BYTES = 900 * _MB  # the context and torch's kernels
_CUDA_BATCH_BYTES = 3000 * _MB  # 640 seconds, in 16 bits


class NemoBackend(ProcessBackend):
    """Canary, Parakeet and other speech models that NeMo packs in a `.nemo` file."""

    name = "nemo"

    def opens(self, entry: ModelEntry) -> bool:
        """See `Backend`: what lies here in its format; a catalogue's entry names the engine."""
        return entry.path is not None and self.whole(entry.path)

    def recognises(self, listing: Listing) -> bool:
        """See `Backend`."""
        return len(_archives(listing)) == 1

    def choose(self, listing: Listing) -> list[RemoteFile]:
        """The repository's `.nemo` file, and nothing else. Raises `ApiError` 422 `model_unusable`."""
        archives = _archives(listing)
        if len(archives) != 1:
            message = _(
                "%(model)s a %(count)s archives .nemo à sa racine ; il en faut une, et une seule.",
                model=listing.repo_id,
                count=len(archives),
            )
            raise ApiError(422, "model_unusable", message, "model")
        return archives

    def whole(self, path: Path) -> bool:
        """See `HubBackend`: a `.nemo` file, a folder with one, or one unpacked."""
        return find_archive(path) is not None or (path.is_dir() and is_unpacked(path))

    def disk_bytes(self, entry: ModelEntry) -> int | None:
        """See `HubBackend`: the archive is unpacked beside itself, and hardly compressed."""
        stored = self._archive_bytes(entry)
        return None if stored is None else 2 * stored

    def need_bytes(self, entry: ModelEntry, *, cuda: bool) -> int | None:
        """See `Backend`. An archive weighs what its weights weigh in float32, those of a second model included."""
        stored = self._archive_bytes(entry) or 0
        weights = max(stored, entry.parameters * 4)
        if not weights:
            return None
        if cuda:
            return weights // 2 + _CUDA_BYTES + _CUDA_BATCH_BYTES
        return weights + _RUNTIME_BYTES + _BATCH_BYTES

    def host_bytes(self, entry: ModelEntry) -> int:
        """See `Backend`: weights are read in the machine's memory on their way to the GPU's."""
        return _RUNTIME_BYTES + max(self._archive_bytes(entry) or 0, entry.parameters * 4)

    def _archive_bytes(self, entry: ModelEntry) -> int | None:
        """The archive's size, wherever it is; what was unpacked beside it counts once."""
        path = self.path(entry)
        archive = find_archive(path) if path is not None else None
        return archive.stat().st_size if archive is not None else self.stored_bytes(entry)


def _archives(listing: Listing) -> list[RemoteFile]:
    return [file for file in listing.files if file.name.endswith(".nemo") and "/" not in file.name]
