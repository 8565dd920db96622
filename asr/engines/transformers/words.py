"""From the tokens a model wrote, each with its time and its probability, to the words that a person reads."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from asr.engines.process.spec import Said

SPACES = ("\u2581", "\u0120")  # how SentencePiece and byte-level BPE write the space before a word
_OPENING = frozenset("«“‘([{¿¡")
Timed = tuple[str, float, float, float | None]
Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class Piece:
    """One token: its id, how the vocabulary writes it, its span in seconds and its probability."""

    id: int
    written: str
    start: float
    end: float
    probability: float


def said(
    pieces: Sequence[Piece], decode: Decode, seconds: float, *, spaced: bool = True, language: str | None = None
) -> Said:
    """The words of one utterance of `seconds`; `decode` gives the text of token ids.

    `spaced`: words begin with a space. Without (Chinese, Japanese), each token that is whole text is a word.
    """
    groups = _by_space(pieces) if spaced else _by_text(pieces, decode)
    words = [word for group in groups if (word := _word(group, decode))[0]]
    return Said(tuple(_orderly(_joined(words), seconds)), language=language)


def _by_space(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    group: list[Piece] = []
    for piece in pieces:
        if group and piece.written.startswith(SPACES):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _by_text(pieces: Sequence[Piece], decode: Decode) -> Iterator[list[Piece]]:
    group: list[Piece] = []
    for piece in pieces:
        group.append(piece)
        if "\ufffd" not in decode([one.id for one in group]):  # else it ends within a character
            yield group
            group = []
    if group:
        yield group


def _word(group: list[Piece], decode: Decode) -> Timed:
    text = decode([piece.id for piece in group]).replace("\ufffd", "").strip()
    timed = [piece for piece in group if not _is_mark(piece.written.lstrip("".join(SPACES)))] or group
    confidence = sum(piece.probability for piece in group) / len(group)
    return text, timed[0].start, timed[-1].end, min(1.0, confidence)


def _is_mark(text: str) -> bool:
    """True for punctuation alone: it is written, not heard, and its time says nothing."""
    return bool(text) and all(unicodedata.category(letter)[0] in "PSZ" for letter in text)


def _joined(words: list[Timed]) -> list[Timed]:
    """A mark that stands alone goes with the word before, or after when it opens ("oui ?", "« oui")."""
    joined: list[Timed] = []
    opening = ""
    for text, start, end, confidence in words:
        if not _is_mark(text):
            joined.append((f"{opening}{text}", start, end, confidence))
            opening = ""
        elif text[0] in _OPENING or not joined:
            opening += text if text[0] != "«" else f"{text} "
        else:
            before = joined[-1]
            joined[-1] = (f"{before[0]} {text}", *before[1:])
    return joined


def _orderly(words: list[Timed], seconds: float) -> Iterator[Timed]:
    """Times within the utterance, one word after the other."""
    since = 0.0
    for text, start, end, confidence in words:
        start = min(round(max(start, since), 3), seconds)
        end = min(round(max(end, start), 3), seconds)
        since = start
        yield text, start, end, None if confidence is None else round(confidence, 4)
