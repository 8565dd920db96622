"""The gateways' worker leaves connections to the others."""

from __future__ import annotations

import socket
import threading
from typing import Any

import gevent
from gevent.pool import Pool

from common.web.worker import GatewayWorker


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
    thread.join(20)
    assert not failed
    assert seen == [False, False]
