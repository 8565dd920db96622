"""An uploaded file read in several places at once, and sounds that come as data: URLs."""

from __future__ import annotations

import base64
import io
import os
import tempfile
from typing import IO

import pytest
from werkzeug.datastructures import FileStorage

from common.audio.upload import from_data_url, kept, opened
from common.errors import ApiError

DATA = bytes(range(256)) * 5000


def on_disk() -> IO[bytes]:
    return tempfile.TemporaryFile()


def spooled() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=1024)


@pytest.mark.parametrize("make", [on_disk, spooled, io.BytesIO])
def test_two_readers_of_one_upload_do_not_move_each_other(make: type) -> None:
    stream = make()
    stream.write(DATA)
    upload = FileStorage(stream, "a.wav")
    first, second = kept(upload), kept(upload)
    assert first.read(1000) == DATA[:1000]
    assert second.read() == DATA
    assert first.read(1000) == DATA[1000:2000]
    first.seek(-10, os.SEEK_END)
    assert first.read() == DATA[-10:]
    assert (first.tell(), second.tell()) == (len(DATA), len(DATA))
    upload.close()
    second.seek(5)
    assert second.read(3) == DATA[5:8], "readable when the request is over"
    with pytest.raises(ValueError, match=r"negative|before the beginning"):
        second.seek(-1)


@pytest.mark.parametrize("file", [None, "bonjour"])
def test_what_is_no_file_is_a_missing_file(file: object) -> None:
    with pytest.raises(ApiError) as caught:
        opened(file, 60.0)  # type: ignore[arg-type]  # what the form's parser may let through
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "missing_file", "file")


def test_a_data_url_gives_its_bytes() -> None:
    encoded = base64.b64encode(DATA).decode()
    assert from_data_url(f"data:audio/wav;base64,{encoded}", 2**21, "p") == DATA
    assert from_data_url("DATA:audio/wav;rate=8000;BASE64,AAEC", 2**21, "p") == b"\0\1\2"
    assert from_data_url("data:,a%20b", 2**21, "p") == b"a b"


@pytest.mark.parametrize(
    "url", ["", "data:audio/wav;base64", "https://example.org/a.wav", "data:;base64,@@", "data:,123"]
)
def test_another_url_or_a_heavy_one_is_refused(url: str) -> None:
    with pytest.raises(ApiError) as caught:
        from_data_url(url, 2, "known_speaker_references")
    assert (caught.value.code, caught.value.param) == ("invalid_value", "known_speaker_references")
