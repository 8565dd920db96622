"""What every diarization engine offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

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


class DiarizeEngine(Protocol):
    """A loaded pipeline. Safe to call from several threads."""

    name: str

    def process(self, audio: LevelledAudio, speakers: SpeakerRange) -> Iterator[Progress | list[Turn]]:
        """Progress, then the turns in order of time (they may overlap). Closing the iterator stops the work."""

    def close(self) -> None:
        """Give the memory back."""
