"""What every speech-to-text engine offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from common.audio.decode import FloatArray


@dataclass(frozen=True)
class Word:
    """One word; times in seconds from the beginning of the recording, confidence from 0 to 1."""

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Chunk:
    """A stretch of speech cut in silence: mono float32 at 16 kHz, and when it begins in the recording."""

    start: float
    samples: FloatArray = field(repr=False)

    @property
    def end(self) -> float:
        return self.start + self.samples.size / 16_000


class AsrEngine(Protocol):
    """A loaded model. Safe to call from several threads."""

    name: str
    languages: frozenset[str]
    demo: bool  # rough by nature: the answer says so
    max_chunk_seconds: float

    def transcribe(self, chunks: Iterable[Chunk], language: str) -> Iterator[tuple[Chunk, list[Word]]]:
        """Words of each chunk, in order, as they are found. Raises ApiError."""

    def close(self) -> None:
        """Give the memory back."""
