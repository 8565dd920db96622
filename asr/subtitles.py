"""SubRip and WebVTT of a transcript."""

from __future__ import annotations

from asr.transcriber import Segment


def srt(segments: list[Segment]) -> str:
    """SubRip."""
    cues = [
        f"{number}\n{_clock(s.start, ',')} --> {_clock(s.end, ',')}\n{s.text}\n" for number, s in enumerate(segments, 1)
    ]
    return "\n".join(cues)


def vtt(segments: list[Segment]) -> str:
    """WebVTT; what could be read as markup is escaped."""
    cues = [f"{_clock(s.start, '.')} --> {_clock(s.end, '.')}\n{_escaped(s.text)}\n" for s in segments]
    return "\n".join(["WEBVTT\n", *cues])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, separator: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{separator}{rest % 1000:03}"
