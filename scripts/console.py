"""What the terminal shows while something long runs: what is being done, and for how long."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_CLEAR = "\r\x1b[2K"


def say(text: str = "") -> None:
    print(text, flush=True)


def tail(text: str, lines: int = 15) -> str:
    """The last lines of a log, indented to be quoted."""
    return "\n".join(f"    {line[:200]}" for line in text.splitlines()[-lines:])


class Progress:
    """Steps that may run side by side. On a terminal one line lives; elsewhere each step is one line when it ends."""

    def __init__(self) -> None:
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()
        self._live = sys.stdout.isatty()
        self._stop = threading.Event()
        self._painter: threading.Thread | None = None

    def __enter__(self) -> "Progress":
        if self._live:
            self._painter = threading.Thread(target=self._paint, daemon=True)
            self._painter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._painter:
            self._painter.join()

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Show `label` as running, then as done or failed with its seconds."""
        start = time.monotonic()
        with self._lock:
            self._running[label] = start
            if not self._live:
                say(f"  … {label}")
        done = "✗"
        try:
            yield
            done = "✓"
        finally:
            with self._lock:
                del self._running[label]
                clear = _CLEAR if self._live else ""
                say(f"{clear}  {done} {label} ({time.monotonic() - start:.0f} s)")

    def _paint(self) -> None:
        turn = 0
        while not self._stop.wait(0.15):
            with self._lock:
                now = time.monotonic()
                parts = [f"{label} ({now - start:.0f} s)" for label, start in self._running.items()]
                if parts:
                    sys.stdout.write(f"{_CLEAR}  {_FRAMES[turn % len(_FRAMES)]} {' · '.join(parts)}"[:160])
                    sys.stdout.flush()
            turn += 1
        sys.stdout.write(_CLEAR)
        sys.stdout.flush()
