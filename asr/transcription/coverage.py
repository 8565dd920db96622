"""Was every voiced second read? Where speech gave no words, and the smaller pieces in which to ask again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from asr.engines.base import Chunk, Word
from common.audio.decode import SPEECH_RATE

Stretch = tuple[float, float]
MISSED = 1.0
"""Seconds of speech without a word that are worth telling."""
_NEAR = 0.5  # words are placed with that precision
_TOGETHER = 0.3
_PAD = 0.25
_SHARED = 1.0


def holes(
    words: Sequence[Word], chunk: Chunk, *, start: float | None = None, end: float | None = None
) -> list[Stretch]:
    """Where `chunk`'s speech, for `MISSED` seconds or more, has no word near; in seconds of the recording.

    Only what lies between `start` and `end` counts (default: the whole chunk).
    """
    lowest = chunk.start if start is None else start
    highest = chunk.end if end is None else end
    left: list[Stretch] = []
    for a, b in chunk.voiced:
        left += _without((max(a, lowest), min(b, highest)), words)
    return [stretch for stretch in _together(left) if stretch[1] - stretch[0] >= MISSED]


def _without(span: Stretch, words: Sequence[Word]) -> Iterator[Stretch]:
    """What of `span` no word is near."""
    at, until = span
    for word in words:  # in order of time
        start, end = word.start - _NEAR, word.end + _NEAR
        if end <= at or start >= until:
            continue
        if start > at:
            yield at, start
        at = max(at, end)
    if at < until:
        yield at, until


def _together(spans: Iterable[Stretch]) -> list[Stretch]:
    found: list[Stretch] = []
    for start, end in spans:
        if found and start - found[-1][1] <= _TOGETHER:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def pieces(chunk: Chunk, missed: Sequence[Stretch]) -> list[Chunk]:
    """`missed` cut out of `chunk`, in pieces of half its length at most; not what would be the same sound again.

    The pieces of one stretch overlap by a second.
    """
    longest = chunk.seconds / 2
    found = []
    for start, end in missed:
        first, last = max(chunk.start, start - _NEAR - _PAD), min(chunk.end, end + _NEAR + _PAD)
        count = max(1, math.ceil((last - first - _SHARED) / max(longest - _SHARED, _SHARED)))
        step = (last - first - _SHARED) / count
        for number in range(count):
            begin = first + number * step
            found.append(_piece(chunk, begin, begin + step + _SHARED, _SHARED if number else 0.0))
    return [piece for piece in found if piece.seconds < 0.9 * chunk.seconds]


def _piece(chunk: Chunk, start: float, end: float, overlap: float) -> Chunk:
    first = round((start - chunk.start) * SPEECH_RATE)
    samples = chunk.samples[first : round((end - chunk.start) * SPEECH_RATE)]
    begin = chunk.start + first / SPEECH_RATE
    finish = begin + samples.size / SPEECH_RATE
    voiced = tuple((max(a, begin), min(b, finish)) for a, b in chunk.voiced if a < finish and b > begin)
    return Chunk(begin, samples, voiced, overlap)


def merged(words: Sequence[Word], more: Sequence[Word]) -> list[Word]:
    """`words` and those of `more` that are said while none of `words` is, in order of time."""
    new = [
        word
        for word in more
        if not any(min(word.end, other.end) - max(word.start, other.start) > 0.05 for other in words)
    ]
    return sorted([*words, *new], key=lambda word: (word.start, word.end))
