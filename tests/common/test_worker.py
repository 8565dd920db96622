"""The gateways' worker leaves connections to the others."""

from __future__ import annotations

import socket
import threading
from typing import Any

import gevent
import pytest
from gevent.pool import Pool
from gunicorn.config import Config

from common.web.worker import GatewayWorker, _Response


def test_a_worker_that_took_a_connection_waits_before_it_takes_another() -> None:
    seen: list[bool] = []
    failed: list[BaseException] = []

    def run() -> None:
        worker = object.__new__(GatewayWorker)
        ends = gevent.event.Event()
        taken = 0

        def handle(*_connection: Any) -> None:
            nonlocal taken
            taken += 1
            seen.append(server._watcher is not None)  # the handler runs once the server has left the accepting
            ends.wait()

        worker.handle = handle
        listener = gevent.socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        server = worker.server_class(listener, spawn=Pool(8), application=None)
        server.start()
        with socket.create_connection(listener.getsockname()[:2]), socket.create_connection(listener.getsockname()[:2]):
            with gevent.Timeout(10):
                while taken < 2:
                    gevent.sleep(0.001)
            ends.set()
        server.stop()

    def guarded() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001  shown by the test
            failed.append(error)

    thread = threading.Thread(target=guarded)  # with a hub of its own
    thread.start()
    thread.join(60)
    assert not failed
    assert seen == [False, False]


class _Socket:
    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.writes.append(data)


class _Request:
    version = (1, 1)
    method = "GET"

    def should_close(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("headers", "pieces", "bodies"),
    [
        ([("Content-Length", "4")], [b"ab", b"cd"], [b"ab", b"cd"]),
        ([], [b"ab", b"c"], [b"2\r\nab\r\n", b"1\r\nc\r\n", b"0\r\n\r\n"]),
        ([("Content-Length", "0")], [], [b""]),
        ([], [b"", b"a"], [b"", b"1\r\na\r\n", b"0\r\n\r\n"]),
    ],
)
def test_headers_go_with_the_first_bytes(
    headers: list[tuple[str, str]], pieces: list[bytes], bodies: list[bytes]
) -> None:
    sock = _Socket()
    response = _Response(_Request(), sock, Config())
    response.start_response("200 OK", headers)
    for piece in pieces:
        response.write(piece)
    response.close()
    head, end, first = sock.writes[0].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (b"chunked" in head) == (not headers)
    assert [first, *sock.writes[1:]] == bodies
    assert end
