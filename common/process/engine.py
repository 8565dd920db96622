"""What every engine that runs in a process of its own offers to the registry."""

from __future__ import annotations

from collections.abc import Callable

from common.messages import Text
from common.process.child import Child


class ChildEngine:
    """An engine whose work is done by `_child`."""

    _child: Child

    @property
    def pid(self) -> int:
        return self._child.pid

    def watch(self, died: Callable[[Text], None]) -> None:
        """Call `died(reason)` once, if the process ends without having been asked to."""
        self._child.watch(died)

    def memory_bytes(self) -> int:
        """Bytes that come back when the engine closes, measured."""
        return self._child.memory_bytes()

    def close(self) -> None:
        """End the process: its memory is back when this returns."""
        self._child.close()
