"""Nobody works for a client that has left: its request is ended, which closes the connection to gpt, which stops.

Noticed while nothing is being sent to the client (a long prompt, an answer in one piece, a diagram in many calls) as
well as between two tokens, because the connection itself is watched.
"""

from __future__ import annotations

import socket
from typing import Any

from flask import Response, after_this_request, request


def stop_if_client_leaves() -> None:
    """Watch the connection of the request being served, whose body has been read, until its answer is sent.

    Only gunicorn's gevent worker gives what it takes; elsewhere a client that left is noticed at the next write.
    """
    connection = request.environ.get("gunicorn.socket")
    if not type(connection).__module__.startswith("gevent"):
        return
    import gevent

    watcher = gevent.spawn(_end_when_gone, connection, gevent.getcurrent())

    @after_this_request
    def _watch_until_sent(response: Response) -> Response:
        response.call_on_close(lambda: watcher.kill(block=False))
        return response


def _end_when_gone(connection: Any, greenlet: Any) -> None:
    from gevent.socket import wait_read

    descriptor = connection.fileno()
    wait_read(descriptor)
    if _closed(descriptor, connection.family, connection.type):
        greenlet.kill(block=False)


def _closed(descriptor: int, family: int, kind: int) -> bool:
    """True at the end of the stream; data to read (a request sent in advance) is no end."""
    try:
        with socket.fromfd(descriptor, family, kind) as copy:
            copy.setblocking(False)
            return copy.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
