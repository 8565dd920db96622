"""Whether a client is still there, asked of its connection."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
from collections.abc import Iterator

import pytest
from flask import Flask

from common.web import leaving
from common.web.leaving import client_gone


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_client_that_listens_or_talks_is_there(pair: tuple[socket.socket, socket.socket]) -> None:
    gone = client_gone({"gunicorn.socket": pair[0]})
    assert not gone()
    pair[1].sendall(b"the next request, in advance")
    assert not gone()


def test_a_client_that_closed_is_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    gone = client_gone({"gunicorn.socket": pair[0]})
    pair[1].close()
    assert gone()


def test_a_connection_that_the_server_closed_has_no_client(pair: tuple[socket.socket, socket.socket]) -> None:
    gone = client_gone({"werkzeug.socket": pair[0]})
    pair[0].close()
    assert gone()


def test_a_high_descriptor_is_asked_as_any_other(pair: tuple[socket.socket, socket.socket]) -> None:

    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= 1100:
        pytest.skip("this machine gives a process fewer than 1100 descriptors")
    high = socket.socket(fileno=fcntl.fcntl(pair[0].fileno(), fcntl.F_DUPFD, 1050))
    with high:
        gone = client_gone({"gunicorn.socket": high})
        assert not gone()
        os.write(pair[1].fileno(), b"x")
        assert not gone()
        pair[1].close()
        high.recv(1)
        assert gone()


def test_without_a_connection_nobody_is_said_to_leave() -> None:
    assert not client_gone({})()


def test_a_request_is_watched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    watches: list[str] = []

    class Watch:
        def __init__(self, _environ: object) -> None:
            watches.append("made")

        def start(self) -> None:
            watches.append("started")

        def stop(self) -> None:
            watches.append("stopped")

    monkeypatch.setattr(leaving, "CallerWatch", Watch)
    app = Flask(__name__)

    @app.get("/")
    def twice() -> str:
        leaving.stop_if_client_leaves()
        leaving.stop_if_client_leaves()
        return "x"

    app.test_client().get("/").close()
    assert watches == ["made", "started", "stopped"]
