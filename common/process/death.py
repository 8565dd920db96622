"""The end of a process that nobody asked for, told once to each who watches."""

from __future__ import annotations

import threading
from collections.abc import Callable

from common.messages import Text


class Death:
    """Noted once by whoever sees the process end, told when it was not asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: Text | None = None
        self._watchers: list[Callable[[Text], None]] = []

    @property
    def reason(self) -> Text | None:
        """Why the process ended; None while it has not."""
        with self._lock:
            return self._reason

    def watch(self, died: Callable[[Text], None]) -> None:
        """Call `died(reason)` once, when the end is told; at once if the process has ended."""
        with self._lock:
            if self._reason is None:
                self._watchers.append(died)
                return
            reason = self._reason
        died(reason)

    def note(self, reason: Text) -> Callable[[], None]:
        """The process has ended. Gives what tells those who watched."""
        with self._lock:
            self._reason = reason
            watchers, self._watchers = self._watchers, []

        def tell() -> None:
            for died in watchers:
                died(reason)

        return tell
