"""One model's folder in Hugging Face's cache: whole files under their hash, partial ones beside, snapshots of links.

The layout is huggingface_hub's, so that what it or others fetched is used, and what we fetch is theirs too:
``models--owner--name/{blobs/<hash>, snapshots/<commit>/<name> -> ../../blobs/<hash>, refs/<revision>}``.
A partial file is ``blobs/<hash>.partial``, ours alone: huggingface_hub 2.x keeps none from one process to the next.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.hub.listing import INDEX, RemoteFile

PARTIAL = ".partial"
_DRAFT = ".draft-"
_LOCK_POLL_S = 0.25
_REVISION = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)
_REPO = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_CONFIGS = ("config.json", "adapter_config.json")


class RepoFolder:
    """Where `repo_id` is kept under `cache_dir`. Raises ValueError for a name that no hub gives."""

    def __init__(self, cache_dir: Path, repo_id: str) -> None:
        if not _REPO.fullmatch(repo_id) or ".." in repo_id:
            raise ValueError(repo_id)
        name = f"models--{repo_id.replace('/', '--')}"
        self.path = cache_dir / name
        self._locks = cache_dir / ".locks" / name

    def find(self, revision: str) -> Path | None:
        """The snapshot of this revision that has a configuration, or None. Says nothing of the other files."""
        folder = self.snapshot(revision)
        return folder if folder is not None and any((folder / name).is_file() for name in _CONFIGS) else None

    def snapshot(self, revision: str) -> Path | None:
        """The folder of this revision, or None. Says nothing of its files: another tool may have begun it."""
        if not valid_revision(revision):
            return None
        try:
            commit = (self.path / "refs" / revision).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            commit = revision
        folder = self.path / "snapshots" / commit
        return folder if folder.is_dir() else None

    def blob(self, file: RemoteFile) -> Path:
        return self.path / "blobs" / str(file.digest)

    def partial(self, file: RemoteFile) -> Path:
        return self.path / "blobs" / f"{file.digest}{PARTIAL}"

    def bytes_here(self, files: list[RemoteFile]) -> int:
        """Bytes of `files` that are on the disk, whole or partial."""
        return sum(min(self._size(file), file.size or 0) for file in files)

    def has(self, commit: str, files: list[RemoteFile]) -> bool:
        """True when the snapshot of `commit` has all of `files`, at their sizes; contents are not read."""
        folder = self.path / "snapshots" / commit
        try:
            return all((folder / file.name).stat().st_size == file.size for file in files)
        except OSError:
            return False

    def _size(self, file: RemoteFile) -> int:
        for path in (self.blob(file), self.partial(file)):
            try:
                return path.stat().st_size
            except OSError:
                continue
        return 0

    @contextmanager
    def alone(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the model's lock, across threads and processes; `waiting` is called while another has it."""
        from filelock import FileLock, Timeout

        self._locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._locks / "download.lock", thread_local=False)
        while True:
            try:
                lock.acquire(timeout=_LOCK_POLL_S, poll_interval=_LOCK_POLL_S / 5)
                break
            except Timeout:
                waiting()
        try:
            yield
        finally:
            lock.release()

    def prepare(self) -> None:
        """Make the folder, without what a killed process left of a snapshot it was making. Hold the lock."""
        (self.path / "blobs").mkdir(parents=True, exist_ok=True)
        for draft in self.path.glob(f"{_DRAFT}*"):
            shutil.rmtree(draft, ignore_errors=True)

    def drop_partials_except(self, files: list[RemoteFile]) -> None:
        """Remove what is left of downloads that nothing will resume (an older commit's files)."""
        kept = {self.partial(file).name for file in files}
        for path in (self.path / "blobs").glob(f"*{PARTIAL}"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def publish(self, commit: str, revision: str, files: list[RemoteFile]) -> Path:
        """Make the snapshot of `commit` from blobs that are all whole, then let `revision` point to it."""
        target = self.path / "snapshots" / commit
        # The index comes before the weights, and they come last: were this cut half-way in a folder that was there
        # already, it would still not look whole.
        ordered = sorted(files, key=lambda file: (file.is_weights, file.name != INDEX, file.name))
        if target.is_dir():
            for file in ordered:
                self._link(file, target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.path)) / commit
            # blobs are two levels up from a draft as from a snapshot
            draft.mkdir()
            try:
                for file in ordered:
                    self._link(file, draft)
                draft.rename(target)
            finally:
                shutil.rmtree(draft.parent, ignore_errors=True)
        if revision != commit:
            self.point(revision, commit)
        return target

    def _link(self, file: RemoteFile, folder: Path) -> None:
        place = folder / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.link")
        draft.unlink(missing_ok=True)
        up = [".."] * (2 + file.name.count("/"))
        try:
            draft.symlink_to(Path(*up, "blobs", str(file.digest)))
        except OSError:  # no symbolic links on this file system
            try:
                os.link(self.blob(file), draft)
            except OSError:
                shutil.copyfile(self.blob(file), draft)
        draft.replace(place)

    def point(self, revision: str, commit: str) -> None:
        """Let `revision` (a branch, a tag) mean the snapshot `commit`."""
        ref = self.path / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        draft = ref.with_name(f".{ref.name}.{os.getpid()}")
        draft.write_text(commit, encoding="ascii")
        draft.replace(ref)


def valid_revision(revision: str) -> bool:
    """True for a branch, tag or commit that names nothing outside of its folder."""
    return bool(_REVISION.fullmatch(revision)) and ".." not in revision


def kept_repos(cache_dir: Path) -> list[str]:
    """The repositories that have a snapshot under `cache_dir`, by name; whole or not."""
    names = [
        path.name.removeprefix("models--") for path in cache_dir.glob("models--*") if any(path.glob("snapshots/*"))
    ]
    return sorted(name.replace("--", "/", 1) for name in names)
