"""Rich Transcription Time Marked, the field's format for who spoke when."""

from __future__ import annotations

import re

from diarize.diarizer import Segment


def rttm(segments: list[Segment], recording: str) -> str:
    """One line per turn; `recording` becomes the file id, without spaces."""
    name = re.sub(r"\s+", "_", recording.strip()) or "audio"
    return "".join(
        f"SPEAKER {name} 1 {s.start:.3f} {s.end - s.start:.3f} <NA> <NA> {s.speaker} <NA> <NA>\n" for s in segments
    )
