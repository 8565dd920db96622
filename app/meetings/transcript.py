"""The transcript as the text that other services read, and the way back from its characters to seconds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.speech.words import Segment, Word


@dataclass(frozen=True)
class Transcript:
    """``text`` and where each word of the recording stands in it."""

    text: str
    _starts: list[int]
    _words: list[Word]

    def seconds(self, start: int, end: int) -> tuple[float, float] | None:
        """When the characters [start, end) were said, or None when no spoken word is among them."""
        first = max(0, bisect_right(self._starts, start) - 1)
        said = []
        for at, word in zip(self._starts[first:], self._words[first:], strict=True):
            if at >= end:
                break
            if at + len(word.word) > start:
                said.append(word)
        if not said:
            return None
        return said[0].start, max(word.end for word in said)


def transcript(segments: Sequence[Segment], names: Mapping[str, str] | None = None) -> Transcript:
    """One line per segment, ``SPEAKER_00: words``; `names` replace the ids of speakers."""
    parts: list[str] = []
    starts: list[int] = []
    words: list[Word] = []
    at = 0
    for segment in segments:
        head = f"{(names or {}).get(segment.speaker, segment.speaker)}: "
        parts.append(head)
        at += len(head)
        for word in segment.words:
            starts.append(at)
            words.append(word)
            parts += (word.word, " ")
            at += len(word.word) + 1
        parts[-1] = "\n"
    return Transcript("".join(parts), starts, words)
