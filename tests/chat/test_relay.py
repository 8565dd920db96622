"""Whoever observes an answer sees what the peer says, and whether it was all."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask, Response
from werkzeug.serving import make_server

from chat.openai.relay import relay
from common.web.client import Peer

EVENTS = [b'data: {"choices":[]}\n\n', b'data: {"usage":{"total_tokens":3}}\n\n', b"data: [DONE]\n\n"]


class Seen:
    def __init__(self) -> None:
        self.data = b""
        self.ends: list[bool] = []

    def saw(self, data: bytes) -> None:
        self.data += data

    def ended(self, *, whole: bool) -> None:
        self.ends.append(whole)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    app = Flask("peer")
    app.add_url_rule("/events", "events", view_func=lambda: Response(iter(EVENTS), content_type="text/event-stream"))
    app.add_url_rule("/whole", "whole", view_func=lambda: Response(b'{"id": "x"}', content_type="application/json"))
    app.add_url_rule("/error", "error", view_func=lambda: Response(b"{}", status=400, content_type="application/json"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Peer("peer", f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "seen", "ends"), [("/events", b"".join(EVENTS), [True]), ("/whole", b'{"id": "x"}', [True])]
)
def test_an_answer_is_seen_whole(peer: Peer, path: str, seen: bytes, ends: list[bool]) -> None:
    observer = Seen()
    response = relay(peer.stream("GET", path), observer=observer)
    assert (response.get_data(), observer.data, observer.ends) == (seen, seen, ends)


def test_a_reader_who_leaves_ends_it_unfinished(peer: Peer) -> None:
    observer = Seen()
    response = relay(peer.stream("GET", "/events"), observer=observer)
    assert next(response.iter_encoded())
    response.close()
    assert observer.ends == [False]


def test_errors_are_not_observed(peer: Peer) -> None:
    observer = Seen()
    assert relay(peer.stream("GET", "/error"), observer=observer).status_code == 400
    assert not observer.data
    assert not observer.ends
