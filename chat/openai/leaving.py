"""Has the client left? Asked of its connection, without waiting, before each piece of a streamed answer."""

from __future__ import annotations

import _socket
import socket
from collections.abc import Callable, Mapping
from typing import Any

NEVER: Callable[[], bool] = lambda: False  # noqa: E731


def client_left(environ: Mapping[str, Any]) -> Callable[[], bool]:
    """A check that costs one system call; always false where the server does not give the connection.

    Under gevent `socket` waits for what is not there yet, so the descriptor is read through the plain one.
    """
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if not isinstance(connection, socket.socket):
        return NEVER
    descriptor = connection.fileno()
    if descriptor < 0:
        return NEVER
    family, kind = connection.family, connection.type

    def check() -> bool:
        plain = _socket.socket(family, kind, 0, descriptor)
        try:
            return plain.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            plain.detach()

    return check
