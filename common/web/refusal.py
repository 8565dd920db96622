"""A refused upload ends there: the connection is closed, instead of reading to its end what nobody wants."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wsgi import ClosingIterator

LINGER_SECONDS, LINGER_BYTES = 2.0, 64 * 1024 * 1024
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def close_refused_uploads(app: Wsgi) -> Wsgi:
    """A WSGI middleware: after a 413, ask gunicorn to close, once the sender has had time to read the answer.

    Closing at once would reset the connection, and the answer would be lost with it.
    """

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        refused = False

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal refused
            if status.startswith("413"):
                refused = True
                force_close = getattr(getattr(start_response, "__self__", None), "force_close", None)
                if force_close is not None:  # gunicorn's
                    force_close()
            return start_response(status, headers, exc_info)

        body = app(environ, start)
        return ClosingIterator(body, lambda: _linger(environ["wsgi.input"])) if refused else body

    return wrapped


def _linger(source: Any) -> None:
    until, left = time.monotonic() + LINGER_SECONDS, LINGER_BYTES
    try:
        while left > 0 and time.monotonic() < until and (block := source.read(64 * 1024)):
            left -= len(block)
    except (OSError, ValueError):
        return
