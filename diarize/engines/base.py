"""What every diarization engine offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from common.audio.decode import FloatArray
from common.audio.level import LevelledAudio


@dataclass(frozen=True)
class Turn:
    """Somebody speaks. `speaker` is a number of the engine's own; times in seconds."""

    speaker: int
    start: float
    end: float


@dataclass(frozen=True)
class SpeakerRange:
    """How many people there may be, both ends included; None means no bound."""

    least: int = 1
    most: int | None = None


@dataclass(frozen=True)
class Progress:
    """Share of the work that is done, from 0 to 1."""

    share: float


@dataclass(frozen=True)
class Found:
    """Who speaks when: `turns` in order of time, which may overlap, and `exclusive`, the same with one speaker at a
    time (what words are joined to). `voices` holds a unit vector per speaker, comparable with those of `embed`."""

    turns: list[Turn]
    exclusive: list[Turn]
    voices: dict[int, FloatArray] = field(default_factory=dict)


class DiarizeEngine(Protocol):
    """A loaded pipeline. Safe to call from several threads."""

    name: str
    space: str  # which embeddings are comparable: the name of the speaker encoder and its version
    same_voice: float  # cosine similarity from which two embeddings are the same person's

    def process(self, audio: LevelledAudio, speakers: SpeakerRange) -> Iterator[Progress | Found]:
        """Progress, then what was found. Closing the iterator stops the work."""

    def embed(self, audio: LevelledAudio) -> FloatArray | None:
        """The unit vector of the only voice of a sample; None when nobody is heard in it."""

    def close(self) -> None:
        """Give the memory back."""
