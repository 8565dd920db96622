"""Two chunks that overlap, joined on the words that both heard.

Where a chunk is cut in the midst of speech, its last words and the first ones of the next chunk are the same, unless
the cut went through one of them, or one model heard what the other did not. The words that agree, by text and by time,
say where to go from one to the other; when none does, the time alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from asr.engines.base import Word

CLOSE = 0.8
"""Seconds by which the times that two chunks give the same word may differ."""
CLOSE_SPREAD = 4.0
"""The same when the times were spread over the speech, for want of better."""
_INSIDE = 2.0  # cost, in seconds away from the middle, of a cut through a word
_EDGE = 0.05


def joined(
    left: Sequence[Word], right: Sequence[Word], start: float, end: float, *, close: float = CLOSE
) -> list[Word]:
    """`left`'s words then `right`'s, each word once, when both chunks hold the seconds from `start` to `end`.

    Words are in order of time; `close` is how far apart, in seconds, the two may place the same one.
    """
    keep, skip = cut(left, right, start, end, close=close)
    return [*left[:keep], *right[skip:]]


def cut(
    left: Sequence[Word], right: Sequence[Word], start: float, end: float, *, close: float = CLOSE
) -> tuple[int, int]:
    """How many of `left`'s words to keep, and how many of `right`'s to leave out. See `joined`."""
    middle = (start + end) / 2
    first = next((index for index, word in enumerate(left) if word.end > start - close), len(left))
    last = next((index for index, word in enumerate(right) if word.start >= end + close), len(right))
    pairs = _pairs(left[first:], right[:last], close)
    if not pairs:
        return _cut_by_time(left, right, start, end)
    i, j = min(pairs, key=lambda pair: abs(_middle(left[first + pair[0]]) - middle))
    i += first
    # The last word before a cut is often given a full stop, and the first after it a capital.
    if i == len(left) - 1 and j > 0:
        return i, j
    return i + 1, j + 1


def _pairs(left: Sequence[Word], right: Sequence[Word], close: float) -> list[tuple[int, int]]:
    """The words that agree, in order in both (a longest common subsequence that prefers runs and near times)."""
    ours, theirs = [_plain(word.word) for word in left], [_plain(word.word) for word in right]
    best = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1])
            gain = _agreement(left[i], right[j], ours[i], theirs[j], close)
            if gain:
                run = i + 1 < len(left) and j + 1 < len(right) and ours[i + 1] == theirs[j + 1]
                best[i][j] = max(best[i][j], gain + 0.25 * run + best[i + 1][j + 1])
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        gain = _agreement(left[i], right[j], ours[i], theirs[j], close)
        if gain and best[i][j] > max(best[i + 1][j], best[i][j + 1]) and best[i][j] >= gain + best[i + 1][j + 1]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def _agreement(left: Word, right: Word, ours: str, theirs: str, close: float) -> float:
    """From 0.5 to 1 when they may be the same word, else 0."""
    apart = abs(_middle(left) - _middle(right))
    return 1.0 - 0.5 * apart / close if ours and ours == theirs and apart <= close else 0.0


def _cut_by_time(left: Sequence[Word], right: Sequence[Word], start: float, end: float) -> tuple[int, int]:
    """Nothing agrees: go over at an instant, near the middle, at which neither is saying a word."""
    if not left or left[-1].end <= start:
        return len(left), 0
    if not right or right[0].start >= end:
        return len(left), 0
    middle = (start + end) / 2
    edges = [time for word in (*left, *right) for time in (word.start, word.end) if start <= time <= end]
    at = min([middle, *edges], key=lambda time: abs(time - middle) + _INSIDE * _through(time, (*left, *right)))
    keep = sum(_middle(word) < at for word in left)
    skip = sum(_middle(word) < at for word in right)
    if keep and skip < len(right):
        one, other = left[keep - 1], right[skip]
        shared = min(one.end, other.end) - max(one.start, other.start)
        if shared > 0.5 * min(one.end - one.start, other.end - other.start):
            # One word, heard as two: the one that is further from its chunk's cut was heard better.
            if end - one.end < other.start - start:
                keep -= 1
            else:
                skip += 1
    return keep, skip


def _through(time: float, words: Sequence[Word]) -> int:
    """How many words are being said at `time`."""
    return sum(word.start + _EDGE < time < word.end - _EDGE for word in words)


def _middle(word: Word) -> float:
    return (word.start + word.end) / 2


def _plain(word: str) -> str:
    """The word without case and punctuation."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())
