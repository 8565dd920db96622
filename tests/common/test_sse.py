"""Server-sent events: format, pings in silence, and a reader who leaves stops the producer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import urllib3
from flask import Flask, Response

from common.errors import ApiError
from common.web.sse import Event, encode, sse, sse_polled


@pytest.mark.parametrize(
    ("event", "wire"),
    [
        ({"é": 1}, 'data: {"é":1}\n\n'),
        (("progress", {"p": 0.5}), 'event: progress\ndata: {"p":0.5}\n\n'),
        ("deux\nlignes", "data: deux\ndata: lignes\n\n"),
        (b"data: brut\n\n", "data: brut\n\n"),
    ],
)
def test_encoding(event: Event, wire: str) -> None:
    assert encode(event).decode() == wire


def _read(response: Response) -> str:
    return b"".join(response.iter_encoded()).decode()


def test_done_ends_the_stream() -> None:
    assert _read(sse([{"a": 1}], done=True)) == 'data: {"a":1}\n\ndata: [DONE]\n\n'


def test_silence_is_filled_with_pings() -> None:
    hold = threading.Event()

    def produce() -> Iterator[Event]:
        hold.wait(60)
        yield "fin"

    chunks = sse(produce(), ping_seconds=0.05).iter_encoded()
    assert next(chunks) == b": ping\n\n"
    hold.set()
    assert b"fin" in b"".join(chunks)


def test_an_error_in_the_middle_is_an_event() -> None:
    def produce() -> Iterator[Event]:
        yield {"a": 1}
        raise ApiError(503, "model_not_ready", "pas prêt")

    text = _read(sse(produce()))
    assert "event: error\n" in text
    assert json.loads(text.split("data: ")[-1])["error"]["code"] == "model_not_ready"


def test_a_bug_in_the_middle_says_nothing_of_itself() -> None:
    def produce() -> Iterator[Event]:
        yield {"a": 1}
        raise RuntimeError("chemin secret")

    text = _read(sse(produce()))
    assert "internal_error" in text
    assert "chemin secret" not in text


def test_a_reader_who_leaves_stops_the_producer(serve: Callable[..., str]) -> None:
    app = Flask("endless")
    closed, cancelled = threading.Event(), threading.Event()

    @app.get("/")
    def endless() -> Response:
        def produce() -> Iterator[Event]:
            try:
                while True:
                    yield {"tick": True}
                    time.sleep(0.01)
            finally:
                closed.set()

        return sse(produce(), on_close=cancelled.set)

    response = urllib3.PoolManager().request("GET", serve(app), preload_content=False)
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.read(10)
    response.close()
    assert cancelled.wait(30)
    assert closed.wait(30)


def test_a_polled_stream_is_the_same_without_a_thread() -> None:
    before = set(threading.enumerate())
    response = sse_polled(iter([{"a": 1}, None, b"data: brut\n\n", None]), done=True, ping_seconds=0)
    assert not [one for one in set(threading.enumerate()) - before if one.name == "sse"]
    assert _read(response) == 'data: {"a":1}\n\n: ping\n\ndata: brut\n\n: ping\n\ndata: [DONE]\n\n'
    assert _read(sse_polled(iter([None, "fin"]))) == "data: fin\n\n"  # a short silence is no news


def test_a_polled_stream_tells_its_error_and_always_closes() -> None:
    def produce() -> Iterator[Event | None]:
        yield None
        raise ApiError(503, "model_not_ready", "pas prêt")

    closed: list[bool] = []
    assert "event: error\n" in _read(sse_polled(produce(), on_close=lambda: closed.append(True)))
    unread = sse_polled(produce(), on_close=lambda: closed.append(True))
    unread.close()
    assert closed == [True]
