"""The recording of a multipart request, kept readable after the request is over (answers are streamed)."""

from __future__ import annotations

import base64
import binascii
import io
import os
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from werkzeug.datastructures import FileStorage

from common.audio.decode import AudioReader
from common.errors import ApiError
from common.messages import _

BLOCK_BYTES = 256 * 1024


class _Positioned(io.RawIOBase):
    """A file read at a position of its own: several readers of one open file do not move each other."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the beginning of the file")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants Buffer; io gives this
        data = os.pread(self._descriptor, len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def opened(file: FileStorage | None, max_seconds: float, param: str = "file") -> AudioReader:
    """A reader of the uploaded recording, checked as far as its first sound.

    Werkzeug has put a large upload on disk already; its temporary file is kept open, not copied.
    Raises ApiError 400 as `AudioReader.probe`, and missing_file.
    """
    if not isinstance(file, FileStorage):  # None, or a field of text: the form's parser lets both through
        message = _("Le champ « %(field)s » doit contenir un fichier.", field=param)
        raise ApiError(400, "missing_file", message, param)
    reader = AudioReader(kept(file), max_seconds=max_seconds, param=param)
    reader.probe()
    return reader


def kept(file: FileStorage) -> BinaryIO:
    """The uploaded bytes, from their beginning. Each call gives a reader that no other one moves."""
    try:
        descriptor = os.dup(file.stream.fileno())
    except (io.UnsupportedOperation, AttributeError):
        file.stream.seek(0)
        return io.BytesIO(file.stream.read())
    return io.BufferedReader(_Positioned(descriptor), BLOCK_BYTES)


def from_data_url(url: str, most_bytes: int, param: str) -> bytes:
    """What a ``data:`` URL carries. Raises ApiError 400 invalid_value when it is none, or weighs too much."""
    head, comma, payload = url.partition(",")
    refusal = ApiError(
        400,
        "invalid_value",
        _(
            "Une URL « data:audio/…;base64,… » de %(most)s Mo au plus est attendue.",
            most=f"{most_bytes / 2**20:g}",
        ),
        param,
    )
    if not comma or head[:5].lower() != "data:":
        raise refusal
    if not head.lower().endswith(";base64"):
        data = unquote_to_bytes(payload)
    else:
        try:
            data = base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError) as error:
            raise refusal from error
    if len(data) > most_bytes:
        raise refusal
    return data
