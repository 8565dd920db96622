"""Fetches a model's files one by one: resumed where they stopped, checked against their hash, then promoted.

A file is under its final name only once its content is what the hub's hash says; a snapshot is made only once all of
its files are. What is interrupted (a cut, a cancel, a killed process) stays as a partial file and is taken up again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from common.hub import errors as hub_errors
from common.hub.cache import RepoFolder
from common.hub.client import Attempts, HubClient, RangeRefusedError
from common.hub.errors import Asked, TransientError
from common.hub.listing import (
    INDEX,
    Choose,
    Listing,
    RemoteFile,
    check_limits,
    choose_files,
    follow_index,
)

DISK_MARGIN_BYTES = 256 * 2**20
DISK_FLOOR_BYTES = 64 * 2**20  # left to the rest of the machine, even when others fill the disk meanwhile
_REPORT_EVERY_S = 0.1
_BLOCK = 2**20
_SPAN = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_log = logging.getLogger("frigo.models")
Progress = Callable[[int, int], None]


class _WrongContentError(Exception):
    """What came is not the file."""


class Download:
    """One model, one attempt of a caller. `progress` gets (bytes here, bytes in all), the first time at once."""

    def __init__(self, folder: RepoFolder, client: HubClient, progress: Progress, choose: Choose | None = None) -> None:
        self._folder = folder
        self._client = client
        self._progress = progress
        self._choose = choose or choose_files
        self._files: list[RemoteFile] = []
        self._whole = 0  # bytes of the files that are done
        self._later = 0  # bytes here of those whose turn has not come
        self._reported = 0.0
        self._joined = False

    def run(self) -> Path:
        """The finished snapshot. Raises `ApiError`."""
        listing = self._client.listing()
        self._plan(listing, self._choose(listing))
        with self._disk_errors(), self._folder.alone(self._waiting):
            self._client.watch()
            self._folder.prepare()
            if self._joined and self._folder.has(listing.commit, self._files):
                return self._folder.publish(listing.commit, self._client.revision, self._files)  # the other's work
            self._check_disk()
            self._tell_all()
            self._fetch_small(listing)
            for file in self._files:
                if file.is_weights:
                    self._fetch(listing, file)
            return self._folder.publish(listing.commit, self._client.revision, self._files)

    # --- what is to be fetched -----------------------------------------------------------------------------------

    def _plan(self, listing: Listing, files: list[RemoteFile]) -> None:
        self._files = [self._client.identified(listing, file) for file in files]
        check_limits(listing.repo_id, self._files)

    @property
    def _total(self) -> int:
        return sum(file.size or 0 for file in self._files)

    def _check_disk(self) -> None:
        self._folder.drop_partials_except(self._files)
        need = self._total - self._folder.bytes_here(self._files)
        free = shutil.disk_usage(self._folder.path).free
        if need > 0 and need + DISK_MARGIN_BYTES > free:
            raise hub_errors.disk_full(self._client.repo_id, need + DISK_MARGIN_BYTES, free)

    def _check_floor(self) -> None:
        """Stop before the last bytes of the disk, which others need too."""
        free = shutil.disk_usage(self._folder.path).free
        if free < DISK_FLOOR_BYTES:
            raise hub_errors.disk_full(self._client.repo_id, None, free)

    def _fetch_small(self, listing: Listing) -> None:
        """The small files; the index among them then says exactly which weights there are."""
        for file in self._files:
            if not file.is_weights:
                self._fetch(listing, file)
        index = next((file for file in self._files if file.name == INDEX), None)
        if index is None:
            return
        try:
            said = json.loads(self._folder.blob(index).read_bytes())
        except ValueError:
            said = None
        exact = follow_index(said if isinstance(said, dict) else {}, listing, self._files)
        if exact != self._files:
            self._plan(listing, exact)
            self._check_disk()

    # --- one file ------------------------------------------------------------------------------------------------

    def _fetch(self, listing: Listing, file: RemoteFile) -> None:
        """Have the whole file under its hash. Raises `ApiError`."""
        self._later = self._folder.bytes_here(self._files[self._files.index(file) + 1 :])
        if not self._kept(file):
            for turn in (1, 2):
                try:
                    self._receive(listing, file)
                    break
                except _WrongContentError as error:
                    self._folder.partial(file).unlink(missing_ok=True)
                    _log.warning(
                        "model file does not match its hash",
                        extra={"model": self._client.repo_id, "file": file.name, "attempt": turn, "reason": str(error)},
                    )
                    if turn == 2:
                        raise hub_errors.corrupt(self._client.repo_id, file.name) from error
            self._folder.partial(file).replace(self._folder.blob(file))
        self._whole += file.size or 0
        self._report(0, now=True)

    def _kept(self, file: RemoteFile) -> bool:
        """True when the whole file is here already; one that is altered is removed."""
        blob = self._folder.blob(file)
        try:
            digest = _Digest(file)
            with blob.open("rb") as source:
                self._feed(digest, source)
        except FileNotFoundError:
            return False
        if digest.right():
            return True
        blob.unlink(missing_ok=True)
        return False

    def _feed(self, digest: _Digest, source: BinaryIO) -> None:
        """Hash what is here already; all of it counts from the start."""
        size = os.fstat(source.fileno()).st_size
        self._report(size)
        while block := source.read(_BLOCK):
            digest.update(block)
            self._report(size)

    def _receive(self, listing: Listing, file: RemoteFile) -> None:
        """Fill the partial file, from where it is to its end, whatever is cut on the way."""
        attempts = Attempts(self._client.patience, self._client.watch)
        with _open_partial(self._folder.partial(file)) as target:
            digest = _Digest(file)
            self._feed(digest, target)
            while digest.length < (file.size or 0):
                try:
                    digest = self._receive_once(listing, file, target, digest, attempts)
                except RangeRefusedError as error:
                    raise _WrongContentError("shorter than announced") from error
                except TransientError as problem:
                    # What came is in the file and in the digest, whole blocks or not.
                    attempts.failed(problem)
            os.fsync(target.fileno())
        if not digest.right():
            raise _WrongContentError("another hash")

    def _receive_once(
        self, listing: Listing, file: RemoteFile, target: BinaryIO, digest: _Digest, attempts: Attempts
    ) -> _Digest:
        start = digest.length
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._client.open("GET", self._client.address(listing.commit, file.name), headers) as answer:
            if start and not _continues(answer.status_code, answer.headers.get("content-range", ""), start, file):
                target.seek(0)
                target.truncate()
                digest = _Digest(file)
            for piece in answer.iter_bytes():
                target.write(piece)
                digest.update(piece)
                attempts.received(len(piece))
                if digest.length > (file.size or 0):
                    raise _WrongContentError("longer than announced")
                if self._report(digest.length):
                    self._check_floor()
        if digest.length < (file.size or 0):  # ended politely, and too early
            asked = Asked(self._client.hub, self._client.repo_id, self._client.revision, with_token=False)
            raise TransientError(hub_errors.unreachable(asked, ConnectionError("short answer")))
        return digest

    # --- who watches ---------------------------------------------------------------------------------------------

    def _report(self, in_this_file: int, *, now: bool = False) -> bool:
        """Tell the bytes, at most ten times a second, and look whether somebody cancelled. True when told."""
        clock = time.monotonic()
        if not now and clock - self._reported < _REPORT_EVERY_S:
            return False
        self._reported = clock
        self._progress(min(self._whole + in_this_file + self._later, self._total), self._total)
        self._client.watch()
        return True

    def _waiting(self) -> None:
        """Another has this model in hand."""
        self._joined = True
        self._tell_all()

    def _tell_all(self) -> None:
        """Tell the bytes that are on the disk, whoever brought them."""
        self._progress(min(self._folder.bytes_here(self._files), self._total), self._total)
        self._client.watch()

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                free = shutil.disk_usage(self._folder.path).free
                raise hub_errors.disk_full(self._client.repo_id, None, free) from error
            reason = error.strerror or type(error).__name__
            raise hub_errors.unwritable(self._client.repo_id, reason) from error


class _Digest:
    """The hash that the hub gives for a file, fed as it comes: sha256 for LFS, else git's blob id."""

    def __init__(self, file: RemoteFile) -> None:
        self._wanted = file.digest or ""
        self._size = file.size or 0
        self.length = 0
        if len(self._wanted) == 64:
            self._hash = hashlib.sha256()
        else:
            self._hash = hashlib.sha1(b"blob %d\0" % self._size, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self._hash.update(data)
        self.length += len(data)

    def right(self) -> bool:
        return self.length == self._size and self._hash.hexdigest() == self._wanted


def _open_partial(path: Path) -> BinaryIO:
    """The partial file, for reading then appending; unbuffered, so that a killed process loses nothing it received."""
    return path.open("r+b" if path.exists() else "w+b", buffering=0)


def _continues(status: int, span: str, start: int, file: RemoteFile) -> bool:
    """True when the answer goes on from `start`; False when it is the whole file again.

    Raises `_WrongContentError` for an answer that is neither: bytes of another place, or of a file of another size.
    """
    if status == 200:
        return False
    found = _SPAN.fullmatch(span)
    if found is None or int(found[1]) != start or found[2] not in ("*", str(file.size)):
        raise _WrongContentError("another range than asked")
    return True
