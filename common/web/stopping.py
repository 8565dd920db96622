"""A worker told to stop lets answers end; those still running shortly before it is killed are ended with a reason."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

LAST_WORDS_SECONDS = 2.0  # before gunicorn's graceful_timeout: for errors to be sent, and engines to close
_ends: list[Callable[[], None]] = []


def before_the_end(end: Callable[[], None]) -> None:
    """Have `end` called in a thread, once, when a stop has gone on for so long that what runs must be ended."""
    _ends.append(end)


def watch_for_stop(graceful_seconds: float) -> None:
    """In a worker's main thread, after gunicorn has set its signals. Does nothing when nobody wants to be told."""
    if not _ends:
        return
    usual = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        last = threading.Timer(max(graceful_seconds - LAST_WORDS_SECONDS, 0.0), _end_all)
        last.daemon = True
        last.start()
        if callable(usual):
            usual(number, frame)

    signal.signal(signal.SIGTERM, stop)
    signal.siginterrupt(signal.SIGTERM, False)  # as gunicorn has it: no read is cut by it


def _end_all() -> None:
    while _ends:
        _ends.pop()()
