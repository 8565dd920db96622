"""Words, turns, and who said what. Times in seconds from the beginning of the recording."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Word:
    word: str
    start: float
    end: float


@dataclass(frozen=True)
class Turn:
    speaker: str
    start: float
    end: float


@dataclass(frozen=True)
class Spoken:
    """A word, who said it, and the share of the word that this speaker's turns cover (0..1)."""

    word: Word
    speaker: str
    share: float


@dataclass(frozen=True)
class Segment:
    """Consecutive words of one speaker. Times in seconds."""

    speaker: str
    words: list[Word] = field(default_factory=list)

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return max(word.end for word in self.words)

    @property
    def text(self) -> str:
        return " ".join(word.word for word in self.words)


def spread(text: str, start: float, end: float) -> list[Word]:
    """Words of a text whose own times are unknown: time is shared out by length."""
    pieces = text.split()
    total = sum(len(piece) + 1 for piece in pieces)
    words, at = [], start
    for piece in pieces:
        until = at + (end - start) * (len(piece) + 1) / total
        words.append(Word(piece, round(at, 3), round(until, 3)))
        at = until
    return words
