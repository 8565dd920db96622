"""SubRip and WebVTT files."""

from __future__ import annotations

from collections.abc import Iterable

from common.speech.cues import LINE_CHARS, Cue, Passage, cues, shown


def srt(passages: Iterable[Passage]) -> str:
    """SubRip. Who speaks is written before the words."""
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_labelled(cue)}\n"
        for number, cue in enumerate(cues(passages), 1)
    ]
    return "\n".join(blocks)


def vtt(passages: Iterable[Passage]) -> str:
    """WebVTT. Who speaks is a voice tag; what could be read as markup is escaped."""
    blocks = [f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_voiced(cue)}\n" for cue in cues(passages)]
    return "\n".join(["WEBVTT\n", *blocks])


def _labelled(cue: Cue) -> str:
    if cue.label is None:
        return cue.text
    label = shown(cue.label)
    same_line = len(label) + 1 + len(cue.lines[0]) <= LINE_CHARS
    return f"{label} {cue.text}" if same_line else f"{label[:LINE_CHARS]}\n{cue.text}"


def _voiced(cue: Cue) -> str:
    return _escaped(cue.text) if cue.label is None else f"<v {_escaped(cue.label)}>{_escaped(cue.text)}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, separator: str) -> str:
    """``01:02:03,004``; hours take as many digits as they need, two at least."""
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{separator}{rest % 1000:03}"
