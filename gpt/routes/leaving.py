"""Has the client left while its answer is being computed? Asked of the connection itself."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any


def client_gone(environ: Mapping[str, Any]) -> Callable[[], bool]:
    """A cheap check of the request's socket, or one that is always false where the server gives none."""
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if not isinstance(connection, socket.socket) or isinstance(connection, ssl.SSLSocket):  # TLS cannot be peeked at
        return lambda: False
    return lambda: _closed(connection)


def _closed(connection: socket.socket) -> bool:
    try:
        readable, _w, _x = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except (OSError, ValueError):
        return True
