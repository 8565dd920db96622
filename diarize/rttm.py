"""Rich Transcription Time Marked (NIST), the field's format for who spoke when."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from diarize.diarizer import Segment

_MOST = 120


def field(text: str, otherwise: str) -> str:
    """One field of a line: fields are separated by blanks, so anything but letters, digits, `.`, `_` and `-` is `_`."""
    return re.sub(r"[^\w.-]+", "_", text.strip())[:_MOST].strip("_") or otherwise


def rttm(segments: Sequence[Segment], recording: str, names: Mapping[str, str] | None = None) -> str:
    """One line per turn: type, file, channel, onset, duration, and the speaker's name or id in the eighth field."""
    file = field(recording, "audio")
    called = {speaker: field(name, speaker) for speaker, name in (names or {}).items()}
    return "".join(
        f"SPEAKER {file} 1 {s.start:.3f} {s.end - s.start:.3f} <NA> <NA> {called.get(s.speaker, s.speaker)} <NA> <NA>\n"
        for s in segments
    )
