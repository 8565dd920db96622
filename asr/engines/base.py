"""What every speech-to-text engine offers, and what passes between it and the transcriber."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from common.audio.decode import SPEECH_RATE, FloatArray
from common.errors import ApiError


@dataclass(frozen=True)
class Word:
    """One word as it is written; times in seconds from the beginning of the recording, confidence from 0 to 1."""

    word: str
    start: float
    end: float
    confidence: float | None = None


@dataclass(frozen=True)
class Chunk:
    """A stretch of the recording to decode: mono float32 at 16 kHz, and when it begins, in seconds.

    `voiced` are the spans, in seconds of the recording, in which speech was heard. The first `overlap` seconds are
    also the end of the chunk before (a cut in the midst of speech); 0 after a cut in silence.
    """

    start: float
    samples: FloatArray = field(repr=False)
    voiced: tuple[tuple[float, float], ...] = ()
    overlap: float = 0.0

    @property
    def seconds(self) -> float:
        return self.samples.size / SPEECH_RATE

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass(frozen=True)
class Task:
    """What is asked of the engine for a whole recording.

    `language` is the one spoken (ISO 639-1; None: the engine detects it), `target` the one to translate into (None:
    write what is said), `prompt` words that help to spell, `temperature` of the sampling (0: greedy).
    """

    language: str | None = None
    target: str | None = None
    prompt: str = ""
    temperature: float = 0.0


@dataclass(frozen=True)
class Heard:
    """What an engine found in a chunk. `language` is what it detected, None when it was told or cannot."""

    chunk: Chunk
    words: list[Word]
    language: str | None = None


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do; a request for more is refused by name.

    `translations` are pairs (spoken, written). `detects_language`: it needs not be told. `word_times`: the times are
    the model's own; without, they are spread over the voiced parts by length, and the answer says so. `punctuates`:
    it writes sentences.
    """

    languages: frozenset[str]
    detects_language: bool = False
    translations: frozenset[tuple[str, str]] = frozenset()
    prompt: bool = False
    temperature: bool = False
    word_times: bool = True
    punctuates: bool = False


class EngineGoneError(ApiError):
    """The engine ended while a recording merely waited its turn: it may go on where it was with another."""


class AsrEngine(Protocol):
    """A loaded model. Safe to call from several threads; calls side by side share it fairly, chunk by chunk."""

    name: str
    capabilities: Capabilities
    demo: bool  # rough by nature: the answer says so
    max_chunk_seconds: float

    def transcribe(self, chunks: Iterable[Chunk], task: Task) -> Iterator[Heard]:
        """What each chunk says, in order, as it is found; reads `chunks` only a little ahead. Raises ApiError.

        Closing the iterator gives up what is not decoded yet.
        """

    def close(self) -> None:
        """Give the memory back."""
