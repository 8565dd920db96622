"""Rich Transcription Time Marked (NIST), the field's format for who spoke when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

_MOST = 120


class Timed(Protocol):
    """A turn: somebody's id, and seconds from the recording's beginning."""

    @property
    def speaker(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


def field(text: str, otherwise: str) -> str:
    """One field of a line: fields are separated by blanks, so anything but letters, digits, `.`, `_` and `-` is `_`."""
    return re.sub(r"[^\w.-]+", "_", text.strip())[:_MOST].strip("_") or otherwise


def rttm(turns: Iterable[Timed], recording: str, names: Mapping[str, str] | None = None) -> str:
    """One line per turn: type, file, channel, onset, duration, and the speaker's name or id in the eighth field."""
    file = field(recording, "audio")
    called = {speaker: field(name, speaker) for speaker, name in (names or {}).items()}
    return "".join(
        f"SPEAKER {file} 1 {t.start:.3f} {t.end - t.start:.3f} <NA> <NA> {called.get(t.speaker, t.speaker)} <NA> <NA>\n"
        for t in turns
    )
