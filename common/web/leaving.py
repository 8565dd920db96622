"""Nobody works for a client that has left. Asked of the connection itself, since an answer may be silent for long.

Under gunicorn's gevent worker (app, chat) the request's greenlet is ended, which closes its calls to other services.
Under threads (services that hold a model) the code that computes asks between two tokens.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, after_this_request, g, request

PATIENCE = 0.02
"""Seconds for which a client may have left before anybody looks."""


def client_gone(environ: Mapping[str, Any]) -> Callable[[], bool]:
    """For threads: a cheap check of the request's socket, or one always false where the server gives none."""
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if not isinstance(connection, socket.socket) or isinstance(connection, ssl.SSLSocket):  # TLS cannot be peeked at
        return lambda: False

    def gone() -> bool:
        descriptor = connection.fileno()
        if descriptor < 0:
            return True  # the server has closed it: its writing failed
        poll = select.poll()  # `select` refuses descriptors from 1024 on
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0)) and _ended(connection)

    return gone


class CallerWatch:
    """For greenlets: ends the request's greenlet when its client leaves. Does nothing under another kind of worker.

    Most answers are there sooner than `PATIENCE`: until then only a timer runs, which costs no call of the system.
    """

    def __init__(self, environ: Mapping[str, Any]) -> None:
        connection = environ.get("gunicorn.socket")
        self._socket: Any = connection if type(connection).__module__.startswith("gevent") else None
        self._watcher: Any = None

    def start(self) -> None:
        """Watch from now on: the whole request has been read, so that anything readable is the end."""
        if self._socket is None or self._watcher is not None:
            return
        from gevent import get_hub, getcurrent

        self._watcher = get_hub().loop.timer(PATIENCE)
        self._watcher.start(self._look, getcurrent())

    def _look(self, greenlet: Any) -> None:
        """In the hub: look at the connection whenever it has something to read."""
        from gevent import get_hub

        self.stop()
        descriptor = self._socket.fileno()
        if descriptor >= 0:  # else the server has closed it
            self._watcher = get_hub().loop.io(descriptor, 1)
            self._watcher.start(self._readable, greenlet)

    def _readable(self, greenlet: Any) -> None:
        self.stop()
        if _ended(self._socket._sock):  # gevent's own socket inside, which never blocks
            greenlet.kill(block=False)

    def stop(self) -> None:
        """Watch no more. May be called twice."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
            watcher.close()


def stop_if_client_leaves() -> None:
    """Watch the client of the request being served, whose body has been read, until its answer is sent. Once is enough:
    who asks again is watched already."""
    if "caller_watch" in g:
        return
    watch = g.caller_watch = CallerWatch(request.environ)
    watch.start()

    @after_this_request
    def _watch_until_sent(response: Response) -> Response:
        response.call_on_close(watch.stop)
        return response


def _ended(readable: socket.socket) -> bool:
    """True at the end of the stream; data to read (a request sent in advance) is no end."""
    try:
        return readable.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except (OSError, ValueError):
        return True
