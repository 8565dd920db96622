"""What was typed, kept from one session to the next in a file that its owner alone may read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

try:
    import readline
except ImportError:  # Windows has none: lines are then read without history
    readline = None  # type: ignore[assignment]

MOST_LINES = 2000


def history_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "frigo" / "historique"


class History:
    """Each line is kept at once, so that a terminal that is closed loses none. No file: no history, and no matter."""

    def __init__(self, words: Sequence[str]) -> None:
        """`words` complete what is typed, on Tab."""
        self._file: Path | None = None
        if readline is None:
            return
        with contextlib.suppress(OSError):
            path = history_file()
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            path.chmod(0o600)
            readline.set_history_length(MOST_LINES)
            readline.read_history_file(path)
            self._file = path
        readline.set_completer_delims(" \t\n")
        readline.set_completer(lambda text, at: [*(word for word in words if text and word.startswith(text)), None][at])
        readline.parse_and_bind("tab: complete")

    def keep(self) -> None:
        """The line just read."""
        if readline is not None and self._file is not None:
            with contextlib.suppress(OSError):
                readline.append_history_file(1, self._file)
