"""A program for `common.process.child` to run in tests: ``python -m tests.common.child_program FD``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.errors import ApiError
from common.messages import _
from common.process.host import Host


def die(number: int) -> None:
    """Send this process a signal that ends it; what comes after is never reached, however late the end comes."""
    os.kill(os.getpid(), number)
    threading.Event().wait()


class Program:
    """Counts, echoes, fails and dies on demand."""

    def __init__(self, spec: dict[str, Any]) -> None:
        if spec.get("refuse"):
            raise ApiError(422, "model_unusable", _("Le fichier %(name)s est vide.", name="a"), "model")
        if spec.get("bug"):
            raise RuntimeError("a secret of the engine")
        if spec.get("die"):
            die(signal.SIGKILL)
        self.facts = {"pid": os.getpid(), "seen": os.environ.get("SEEN"), "oom": _oom_score()}
        self.calls: dict[str, Callable[..., Any]] = {
            "echo": lambda value: value,
            "fail": self.fail,
            "die": die,
            "crash_a_thread": lambda: threading.Thread(target=self.fail).start(),
            "hang": lambda: threading.Event().wait(),
            "running": lambda: self.running,
            "fill": self.fill,
        }
        self.streams: dict[str, Callable[..., Callable[[], None]]] = {"count": self.count}
        self.running = 0
        self.kept = b""

    def fail(self) -> None:
        raise ZeroDivisionError("a secret of the engine")

    def fill(self, size: int) -> None:
        self.kept = b"x" * size

    def count(self, limit: int | None, emit: Callable[[Any], None]) -> Callable[[], None]:
        """Emit 0, 1, 2… then None, or for ever."""
        stop = threading.Event()

        def run() -> None:
            self.running += 1
            number = 0
            while not stop.is_set() and (limit is None or number < limit):
                emit(number)
                number += 1
                if limit is None:
                    stop.wait(0.001)
            if not stop.is_set():
                emit(None)
            self.running -= 1

        threading.Thread(target=run, daemon=True).start()
        return stop.set

    def close(self) -> None:
        pass


def _oom_score() -> int:
    return int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))


if __name__ == "__main__":
    Host(int(sys.argv[1])).run(Program)
