"""Nobody transcribes for a client that has left: the model is given back at the next chunk, whatever was asked."""

from __future__ import annotations

import http.client
import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from asr.engines.base import Capabilities
from common.web.multipart import Multipart
from tests.asr.speaking import Speaking, sample, speaking_app

FRENCH = Capabilities(languages=frozenset({"fr"}))


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/audio/transcribe", {}),
        ("/api/audio/transcribe?stream=true", {}),
        ("/v1/audio/transcriptions", {}),
        ("/v1/audio/transcriptions", {"stream": "true"}),
        ("/v1/audio/translations", {"language": "en"}),
    ],
)
def test_leaving_ends_the_work(serve: Callable[..., str], tmp_path: Path, path: str, fields: dict[str, str]) -> None:
    working, goes_on = threading.Event(), threading.Event()

    def at_each_chunk() -> None:
        working.set()
        assert goes_on.wait(60)

    both = Capabilities(FRENCH.languages | {"en"}, translations=frozenset({("fr", "en")}))
    app, registry = speaking_app(Speaking(both, max_chunk_seconds=5.0, during=at_each_chunk), tmp_path)
    url = urlsplit(serve(app))
    body = Multipart({**fields, "file": ("a.wav", io.BytesIO(sample(0.0, 40.0)), "audio/wav")})
    headers = {"Content-Type": body.content_type, "Content-Length": str(body.length)}
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)
    connection.request("POST", path, iter(body), headers)
    assert working.wait(60)
    connection.close()
    goes_on.set()
    deadline = time.monotonic() + 20
    while registry.users:
        assert time.monotonic() < deadline, "the model is still held"
        time.sleep(0.02)
    assert len(registry.engine.chunks) <= 3, "the recording has eight of them"
