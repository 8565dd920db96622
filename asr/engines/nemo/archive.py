"""`.nemo` archives, unpacked once, with nothing that could write elsewhere or fill the disk.

A `.nemo` file is a tar, plain or gzipped, of a configuration (`model_config.yaml`), weights (`model_weights.ckpt`),
the SentencePiece models of its tokenizer, and for some (Canary-1b-v2) the configuration and weights of a second model
that gives the times of words. What is trusted of it: nothing. An archive is taken only if every entry is a regular
file with a plain name at its root, of a kind listed here, within the limits below; whatever else it holds (a link, a
device, a folder below, a pickled tokenizer, a script) refuses the whole. `config` reads the configuration, `restore`
the weights, each with its own refusals.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from common.errors import ApiError
from common.messages import Text, _

CONFIG = "model_config.yaml"
WEIGHTS = "model_weights.ckpt"
TIMES_CONFIG = "timestamps_asr_model_config.yaml"
TIMES_WEIGHTS = "timestamps_asr_model_weights.ckpt"

MAX_FILES = 1000  # Canary-180m-flash has about 20: three for each language of its tokenizer
MAX_BYTES = 64 * 2**30  # ten times the biggest archive that NVIDIA publishes for speech
MAX_SMALL_BYTES = 64 * 2**20  # any file that is not weights
MAX_RATIO = 20  # trained weights hardly compress; a bomb does, a thousand times and more
RATIO_FLOOR_BYTES = 64 * 2**20  # below, no ratio is worth a refusal
_DISK_MARGIN_BYTES = 256 * 2**20
_BLOCK = 2**20
_MAX_HEADER = 2**20  # a tar's own extended headers are read whole; real ones have some hundred bytes
_GZIP = b"\x1f\x8b"
_NAME = re.compile(r"[A-Za-z0-9_][\w.+@ ()-]{0,199}", re.ASCII)  # never "." first, no folder
_KINDS = (".yaml", ".ckpt", ".model", ".vocab", ".txt", ".json")
_WEIGHT_KIND = ".ckpt"
_BLOB = re.compile(r"[0-9a-f]{40,64}")
_DRAFT = ".draft-"
_DONE = ".complete"  # written last: a folder that has it is whole


def unusable(reason: Text) -> ApiError:
    """The refusal of a `.nemo` model, with its reason."""
    return ApiError(422, "model_unusable", _("Ce modèle NeMo est refusé : %(reason)s.", reason=reason), "model")


def find_archive(path: Path) -> Path | None:
    """The `.nemo` file that `path` is, or the only one in the folder `path`; None otherwise."""
    if path.is_file():
        return path if path.suffix == ".nemo" else None
    found = sorted(file for file in path.glob("*.nemo") if file.is_file()) if path.is_dir() else []
    return found[0] if len(found) == 1 else None


def is_unpacked(path: Path) -> bool:
    """True for a folder that has what an archive has."""
    return (path / CONFIG).is_file() and (path / WEIGHTS).is_file()


def open_model(path: Path) -> Path:
    """The folder that holds the model at `path`: a `.nemo` file, a folder with one, or a folder already unpacked.

    Raises `ApiError` 422 `model_unusable`, 507 `disk_full`, 507 `cache_unwritable`.
    """
    if path.is_dir() and is_unpacked(path):
        return path
    archive = find_archive(path)
    if archive is None:
        raise unusable(_("il n'y a pas un fichier .nemo, et un seul, à cet endroit"))
    return unpack(archive)


def unpacked_folder(archive: Path) -> Path:
    """Where `archive` is unpacked: beside the file itself, under a name that changes with its content.

    In a hub's cache the file is a link to `blobs/<hash>`, and the folder is `unpacked/<hash>` beside `blobs`: two
    revisions with the same archive share it. Elsewhere the name is that of the file with its size and date.
    """
    real = archive.resolve()
    if real.parent.name == "blobs" and _BLOB.fullmatch(real.name):
        return real.parent.parent / "unpacked" / real.name
    stat = real.stat()
    key = hashlib.sha256(f"{real.name} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:16]
    return real.parent / ".unpacked" / f"{real.stem}-{key}"


def unpack(archive: Path) -> Path:
    """Unpack `archive` beside itself, once; gives the folder. Half-done work is never seen under its name.

    Raises as `open_model`.
    """
    from filelock import FileLock

    folder = unpacked_folder(archive)
    if (folder / _DONE).is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / ".lock"):
            if not (folder / _DONE).is_file():
                _make(archive, folder)
    except PermissionError as error:
        place = folder.parent.parent.name
        message = _("Le modèle ne peut pas être dépaqueté : le dossier %(place)s ne se laisse pas écrire.", place=place)
        raise ApiError(507, "cache_unwritable", message) from error
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise
        raise _no_room(archive.stat().st_size) from error
    return folder


def _make(archive: Path, folder: Path) -> None:
    """Unpack under another name, then give it its own. Hold the lock."""
    _sweep(archive, folder)
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder.parent))
    try:
        _extract(archive, draft)
        (draft / _DONE).touch()
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sweep(archive: Path, folder: Path) -> None:
    """Drop what killed processes left, and what was unpacked from archives that have changed or gone."""
    for old in folder.parent.iterdir():
        unfinished = old.name.startswith(_DRAFT) or old == folder
        replaced = re.fullmatch(rf"{re.escape(archive.resolve().stem)}-[0-9a-f]{{16}}", old.name)
        gone = _BLOB.fullmatch(old.name) and not (folder.parent.parent / "blobs" / old.name).exists()
        if old.is_dir() and (unfinished or replaced or gone):
            shutil.rmtree(old, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> None:
    packed = archive.stat().st_size
    most = min(MAX_BYTES, max(packed * MAX_RATIO, RATIO_FLOOR_BYTES))
    try:
        with _reader(archive) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            names: set[str] = set()
            left = most
            for member in tar:
                name = _checked(member, names)
                if name is None:
                    continue
                if member.size > left or len(names) > MAX_FILES:
                    raise unusable(_("son archive est démesurée une fois dépaquetée"))
                left -= member.size
                _check_disk(folder, member.size)
                source = tar.extractfile(member)
                if source is None:
                    raise unusable(_("son archive est abîmée"))
                with source:
                    _copy(source, folder / name, member.size)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, UnicodeError) as error:
        raise unusable(_("son archive est abîmée")) from error
    if not is_unpacked(folder):
        raise unusable(_("son archive n'a pas %(config)s et %(weights)s", config=CONFIG, weights=WEIGHTS))


def _checked(member: tarfile.TarInfo, names: set[str]) -> str | None:
    """The plain name of a file worth writing; None for the root folder itself. Raises `ApiError` for the rest."""
    name = member.name.removeprefix("./")
    if member.isdir() and name in ("", "."):
        return None
    kind = Path(name).suffix
    # isreg() is false for links, devices and pipes, not for a sparse file, which claims a size that it does not hold.
    if not member.isreg() or member.issparse() or not _NAME.fullmatch(name) or kind not in _KINDS:
        raise unusable(_("son archive contient %(name)s, qui n'a rien à y faire", name=repr(name[:80])))
    if name in names:
        raise unusable(_("son archive contient deux fois %(name)s", name=repr(name[:80])))
    if kind != _WEIGHT_KIND and member.size > MAX_SMALL_BYTES:
        raise unusable(_("%(name)s dépasse %(most)s Mo", name=repr(name[:80]), most=MAX_SMALL_BYTES // 2**20))
    names.add(name)
    return name


def _check_disk(folder: Path, size: int) -> None:
    if shutil.disk_usage(folder).free < size + _DISK_MARGIN_BYTES:
        raise _no_room(size)


def _no_room(size: int) -> ApiError:
    need = max(size // 2**20, 1)
    return ApiError(507, "disk_full", _("Il manque %(need)s Mo de disque pour dépaqueter le modèle.", need=need))


class _Careful:
    """A file that gives no more than a block at a time: what is longer is a header made to fill the memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise tarfile.ReadError("an entry's header is too long")
        return self._file.read(size)


@contextmanager
def _reader(archive: Path) -> Iterator[Any]:
    with archive.open("rb") as raw:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        if not packed:
            yield _Careful(raw)
            return
        with gzip.GzipFile(fileobj=raw) as file:
            yield _Careful(file)  # type: ignore[arg-type]


def _copy(source: IO[bytes], target: Path, size: int) -> None:
    """Exactly `size` bytes, and no execution bit."""
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
        while size:
            block = source.read(min(_BLOCK, size))
            if not block:
                raise unusable(_("son archive est abîmée"))
            file.write(block)
            size -= len(block)
