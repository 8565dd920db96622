"""What is written where: answers on stdout, all the rest on stderr in a pipe; colours on a terminal only.

What a model or a file says never reaches a terminal as more than text: control characters are left out.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any, TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COLOURS = {"dim": "2", "bold": "1", "blue": "34", "green": "32", "red": "31"}
_SHOWN_RESULT = 300


class Screen:
    """`colours`: NO_COLOR and TERM=dumb are heeded."""

    def __init__(self) -> None:
        self.terminal = sys.stdout.isatty()
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self._colours = {
            stream.fileno(): stream.isatty() and not plain for stream in (sys.stdout, sys.stderr) if _real(stream)
        }

    def write(self, text: str, colour: str | None = None) -> None:
        """Part of an answer, at once; on a terminal without its control characters."""
        shown = clean(text) if self.terminal else text
        _put(sys.stdout, self._painted(shown, colour, sys.stdout))

    def say(self, text: str = "", colour: str | None = None) -> None:
        """A line that is no answer, for the person who is there."""
        _put(sys.stdout, self._painted(clean(text), colour, sys.stdout) + "\n")

    def note(self, text: str) -> None:
        """A line beside the answer."""
        _put(sys.stderr, self._painted(clean(text), "dim", sys.stderr) + "\n")

    def fail(self, text: str) -> None:
        _put(sys.stderr, self._painted(clean(text), "red", sys.stderr) + "\n")

    def run(self, run: dict[str, Any]) -> None:
        """A run of a tool as it begins or ends."""
        if run.get("state") == "running":
            return self.say(f"  ⚙ {run.get('name')} {run.get('arguments') or ''}", "dim")
        result = " ".join(str(run.get("result") or "").split())
        result = f"{result[:_SHOWN_RESULT]}…" if len(result) > _SHOWN_RESULT else result
        return self.say(f"  {'✗' if run.get('state') == 'error' else '→'} {result}", "dim")

    def prompt(self, text: str) -> str:
        """`text` coloured for readline, which has to know what takes no room."""
        if not self._colours.get(1):
            return text
        return f"\x01\x1b[{_COLOURS['bold']};{_COLOURS['blue']}m\x02{text}\x01\x1b[0m\x02"

    def _painted(self, text: str, colour: str | None, stream: TextIO) -> str:
        if colour is None or not text or not self._colours.get(stream.fileno() if _real(stream) else -1):
            return text
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def clean(text: str) -> str:
    """`text` without what a terminal would obey (escape sequences, carriage returns, C1)."""
    return _CONTROL.sub("", text)


def _put(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()


def _real(stream: TextIO) -> bool:
    try:
        stream.fileno()
    except (OSError, ValueError):
        return False
    return True
