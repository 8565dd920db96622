"""Words, their times and their confidence, from the tokens that a NeMo model writes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

SPACE = "▁"  # SentencePiece's mark of a word's beginning
_TIME = re.compile(r"<\|(\d{1,5})\|>")  # a number of frames, as Canary-flash writes times
_SPECIAL = re.compile(r"<\|.*\|>|<pad>|<unk>|<s>|</s>|⁇", re.DOTALL)
Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class Token:
    """One token as the model wrote it. `confidence` is the probability it was given, from 0 to 1."""

    number: int
    piece: str
    confidence: float | None = None


@dataclass(frozen=True)
class Spelled:
    """One word; `start` and `end` in frames of the encoder, None where the model gave no times."""

    word: str
    start: float | None = None
    end: float | None = None
    confidence: float | None = None


def spell(tokens: Iterable[Token], decode: Decode) -> list[Spelled]:
    """The words of `tokens`, with the times that surround them if the model writes times.

    Canary-flash writes ``<|3|> hello<|9|><|11|> world<|17|>``: frames before and after each word (each sentence, when
    it translates: its words then share the time by their length). Other special tokens are no text. A time that goes
    back is one that the model got wrong: what it surrounds has none.
    """
    words: list[Spelled] = []
    group: list[Token] = []
    begun: int | None = None
    last = 0
    for token in tokens:
        found = _TIME.fullmatch(token.piece)
        if found is None:
            if not _SPECIAL.fullmatch(token.piece):
                group.append(token)
            continue
        at = int(found[1])
        if group:
            right = begun is not None and last <= begun < at
            words += _share(_split(group, decode), float(begun or 0), float(at)) if right else _split(group, decode)
            last = at if right else last
            group, begun = [], None
        else:
            begun = at
    return words + _split(group, decode)


def _split(tokens: Sequence[Token], decode: Decode) -> list[Spelled]:
    """Words by SentencePiece's marks, with a word's confidence the geometric mean of its tokens'."""
    runs: list[list[Token]] = []
    for token in tokens:
        if token.piece.startswith(SPACE) or not runs:
            runs.append([])
        runs[-1].append(token)
    words: list[Spelled] = []
    for run in runs:
        written = decode([token.number for token in run]).split()
        words += [Spelled(word, confidence=_mean(run)) for word in written]
    return words


def _mean(run: Sequence[Token]) -> float | None:
    known = [token.confidence for token in run if token.confidence is not None]
    if len(known) < len(run) or not known:
        return None
    if min(known) <= 0:
        return 0.0
    return min(1.0, math.exp(sum(math.log(value) for value in known) / len(known)))


def _share(words: list[Spelled], start: float, end: float) -> list[Spelled]:
    """Spread `words` from `start` to `end` by their length."""
    total = sum(len(word.word) for word in words)
    shared = []
    for word in words:
        stop = start + (end - start) * len(word.word) / total if total else end
        total -= len(word.word)
        shared.append(replace(word, start=start, end=stop))
        start = stop
    return shared


def timed(
    words: Sequence[Spelled], frame_seconds: float, shift: float, seconds: float
) -> tuple[tuple[str, float, float, float | None], ...]:
    """`words` with times in seconds from the beginning of an utterance of `seconds` that was heard `shift` late.

    Empty when not one word has a time. A word without one gets the gap between its neighbours'. Times never go back.
    """
    if not any(word.start is not None for word in words):
        return ()
    placed = _fill([_seconds(word, frame_seconds, shift) for word in words], seconds)
    found = []
    last = 0.0
    for word, (start, end) in zip(words, placed, strict=True):
        start = min(max(start, last), seconds)
        end = min(max(end, start), seconds)
        last = end
        confidence = None if word.confidence is None else round(word.confidence, 4)
        found.append((word.word, round(start, 3), round(end, 3), confidence))
    return tuple(found)


def _seconds(word: Spelled, frame_seconds: float, shift: float) -> tuple[float, float] | None:
    if word.start is None or word.end is None:
        return None
    return word.start * frame_seconds - shift, word.end * frame_seconds - shift


def _fill(spans: list[tuple[float, float] | None], seconds: float) -> list[tuple[float, float]]:
    """Give each run of unknown spans the time between those around it, in equal parts."""
    filled: list[tuple[float, float]] = []
    index = 0
    while index < len(spans):
        span = spans[index]
        if span is not None:
            filled.append(span)
            index += 1
            continue
        stop = next((i for i in range(index, len(spans)) if spans[i] is not None), len(spans))
        following = spans[stop] if stop < len(spans) else None
        before = filled[-1][1] if filled else 0.0
        after = max(following[0] if following is not None else seconds, before)
        step = (after - before) / (stop - index)
        filled += [(before + step * i, before + step * (i + 1)) for i in range(stop - index)]
        index = stop
    return filled
