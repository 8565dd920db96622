"""The recording of a multipart request, kept readable after the request is over (answers are streamed)."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

from werkzeug.datastructures import FileStorage

from common.audio.decode import AudioReader
from common.errors import ApiError
from common.messages import _


def opened(file: FileStorage | None, max_seconds: float, param: str = "file") -> AudioReader:
    """A reader of the uploaded recording, checked as far as its first sound.

    Werkzeug has put a large upload on disk already; its temporary file is kept open, not copied.
    Raises ApiError 400 as `AudioReader.probe`, and missing_file.
    """
    if file is None:
        message = _("Le champ « %(field)s » doit contenir un fichier.", field=param)
        raise ApiError(400, "missing_file", message, param)
    reader = AudioReader(_kept(file), max_seconds=max_seconds, param=param)
    reader.probe()
    return reader


def _kept(file: FileStorage) -> BinaryIO:
    file.stream.seek(0)
    try:
        return os.fdopen(os.dup(file.stream.fileno()), "rb")
    except (io.UnsupportedOperation, AttributeError):
        return io.BytesIO(file.stream.read())
