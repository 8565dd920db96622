"""Words cut into segments: sentences when the model writes them, else what is said in one breath."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from asr.engines.base import Word
from asr.transcription.transcript import Segment

PAUSE = 0.7
"""Seconds of silence that end a segment when nothing is punctuated."""
LONG_PAUSE = 2.0
"""Seconds of silence that end one even within a sentence."""
MAX_SECONDS = 12.0
MAX_CHARACTERS = 168
"""A segment is at most two subtitles of two lines."""
_SENTENCE_END = re.compile(r"[.!?…][\"»”’')\]\s]*$")
_CLOSING = re.compile(r"^[.,;:!?…%€»”’')\]]+$")
_COMMA = re.compile(r"[,;:][\"»”’')\]]*$")
_ABBREVIATION = re.compile(r"^(?:[^\W\d_]|MM|Mme|Mlle|Mr|Mrs|Ms|Dr|Pr|Me|St|Ste|cf|art|fig|vol|No)\.$", re.IGNORECASE)


def segments(words: Sequence[Word], *, punctuates: bool) -> list[Segment]:
    """The segments of `words`, in order; every word is in exactly one."""
    pieces = _sentences(words) if punctuates else _breaths(words)
    return [
        Segment(part[0].start, max(word.end for word in part), " ".join(word.word for word in part))
        for piece in pieces
        for part in _bounded(piece)
    ]


def _sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and (_ends(group, word) or word.start - group[-1].end >= LONG_PAUSE):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _ends(words: Sequence[Word], following: Word) -> bool:
    """Whether a sentence ends with `words`: not with an initial or a shortened title, nor before a small letter.

    A mark may be a word of its own, as French separates some.
    """
    text = " ".join(word.word for word in words[-3:])
    if not _SENTENCE_END.search(text) or _ABBREVIATION.match(words[-1].word) or _CLOSING.match(following.word):
        return False
    letter = next((letter for letter in following.word if letter.isalpha()), "A")
    return not letter.islower()


def _breaths(words: Sequence[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and word.start - group[-1].end >= PAUSE:
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _bounded(words: list[Word]) -> Iterator[list[Word]]:
    """`words` in parts that are not too long, cut after a comma or where the speaker pauses most."""
    while len(words) > 1 and not _fits(words):
        most = next(count for count in range(len(words), 0, -1) if count == 1 or _fits(words[:count]))
        cut = max(range(max(1, most // 2), most + 1), key=lambda count: _merit(words, count))
        yield words[:cut]
        words = words[cut:]
    yield words


def _fits(words: Sequence[Word]) -> bool:
    length = sum(len(word.word) + 1 for word in words) - 1
    return length <= MAX_CHARACTERS and words[-1].end - words[0].start <= MAX_SECONDS


def _merit(words: Sequence[Word], count: int) -> tuple[bool, float, int]:
    """How good it is to cut before the word number `count`."""
    before, after = words[count - 1], words[count]
    return bool(_COMMA.search(before.word)), round(max(0.0, after.start - before.end), 1), count
