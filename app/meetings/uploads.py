"""Recordings sent by people: written to disk as they arrive, cut at MAX_UPLOAD_MB, checked before they are accepted."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from flask import Request
from werkzeug.formparser import FormDataParser

from app.offload import in_thread
from common.audio.decode import AudioInfo, AudioReader
from common.errors import ApiError
from common.messages import _

MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".mp4": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
}
"""Recordings are served again under one of these types, never under the one that the sender claims."""
_OTHER = ".bin"


@dataclass
class Upload:
    """A recording on disk, not yet a meeting."""

    path: Path
    file_name: str
    size: int
    fields: dict[str, str] = field(default_factory=dict)


def media_type(stored_name: str) -> str:
    return MEDIA_TYPES.get(Path(stored_name).suffix, "application/octet-stream")


def new_path(folder: Path, file_name: str) -> Path:
    """Where a recording of that name is kept: nothing of the name is used but a known suffix."""
    suffix = Path(file_name).suffix.lower()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{uuid.uuid4().hex}{suffix if suffix in MEDIA_TYPES else _OTHER}"


@contextmanager
def receive(request: Request, folder: Path, *, max_hours: float) -> Iterator[Upload]:
    """Read a multipart body to disk and check that its ``file`` is a recording; it stays only if the block succeeds.

    Raises ApiError 400 (missing_file, empty_file, invalid_audio…), 413 (upload_too_large, audio_too_long) and 507.
    """
    written: list[Path] = []

    def open_part(**part: Any) -> IO[bytes]:
        path = new_path(folder, part.get("filename") or "")
        written.append(path)
        return path.open("xb+")

    kept: Path | None = None
    try:
        upload = _parsed(request, open_part)
        in_thread(_sync, upload.path)
        _check_length(in_thread(AudioReader(upload.path).probe), max_hours)
        yield upload
        kept = upload.path
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ApiError(507, "disk_full", _("Il n'y a plus de place sur le disque du serveur.")) from error
        raise
    finally:
        for path in written:
            if path != kept:
                path.unlink(missing_ok=True)


def copy_in(source: Path, folder: Path) -> Upload:
    """A recording that is already on this machine, copied among the uploads."""
    path = new_path(folder, source.name)
    shutil.copyfile(source, path)
    in_thread(_sync, path)
    return Upload(path, source.name, path.stat().st_size)


def _parsed(request: Request, open_part: Any) -> Upload:
    if request.mimetype != "multipart/form-data" or not request.mimetype_params.get("boundary"):
        message = _("L'enregistrement doit être envoyé en « multipart/form-data », dans le champ « file ».")
        raise ApiError(400, "missing_file", message, "file")
    parser = FormDataParser(stream_factory=open_part, max_form_memory_size=2**20, max_form_parts=20, silent=False)
    try:
        options = request.mimetype_params
        _stream, form, files = parser.parse(request.stream, request.mimetype, request.content_length, options)
    except ValueError as error:
        raise ApiError(400, "bad_multipart", _("Le corps « multipart/form-data » est mal formé."), "file") from error
    for storage in files.values():
        storage.stream.flush()
    recording = files.get("file")
    if recording is None:
        raise ApiError(400, "missing_file", _("Le champ « file » est obligatoire."), "file")
    path = Path(recording.stream.name)
    size = recording.stream.seek(0, os.SEEK_END)
    for storage in files.values():
        storage.close()
    name = os.path.basename((recording.filename or "").replace("\\", "/")) or path.name  # noqa: PTH119  any system's path
    return Upload(path, name, size, {key: value.strip() for key, value in form.items()})


def sweep(folder: Path, known: Collection[str], *, older_than: float = 24 * 3600) -> list[str]:
    """Remove recordings that belong to no meeting (app was killed while it received them). Returns their names."""
    limit = time.time() - older_than
    lost = [path for path in folder.glob("*") if path.name not in known and path.stat().st_mtime < limit]
    for path in lost:
        path.unlink(missing_ok=True)
    return [path.name for path in lost]


def _check_length(info: AudioInfo, max_hours: float) -> None:
    if info.seconds is not None and info.seconds > max_hours * 3600:
        message = _("L'enregistrement dure plus de %(hours)s heures (MEETING_MAX_HOURS).", hours=f"{max_hours:g}")
        raise ApiError(413, "audio_too_long", message, "file")


def _sync(path: Path) -> None:
    """Make sure that the file and its name are on the disk."""
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
