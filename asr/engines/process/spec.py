"""What a service and the process that holds a speech model tell each other.

The model's process may run in another environment than the service's (NeMo wants its own): samples travel as bytes,
and everything else as these classes and plain Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from asr.engines.base import Capabilities, Task


@dataclass(frozen=True)
class Opening:
    """How to open a model. `threads`: 0 means as many as the container may use."""

    use_gpu: bool = True
    gpu_device_ids: tuple[int, ...] = ()
    threads: int = 0


@dataclass(frozen=True)
class Spec:
    """What to open (a folder or one file), with which model class, and where to log."""

    engine: str
    path: Path
    opening: Opening
    log_level: str = "INFO"
    log_dir: Path | None = None


@dataclass(frozen=True)
class Facts:
    """What the service must know of a loaded model. `batch_seconds` of sound are decoded at once at most."""

    name: str
    capabilities: Capabilities
    max_chunk_seconds: float
    batch_seconds: float


@dataclass(frozen=True)
class Utterance:
    """A chunk as the model gets it: mono float32 at 16 kHz, native byte order."""

    pcm: bytes = field(repr=False)

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 4 / 16_000


@dataclass(frozen=True)
class Said:
    """What the model read in an utterance: (word, start, end, confidence) with times in seconds from its beginning.

    A model that gives no times leaves `words` empty and fills `text`.
    """

    words: tuple[tuple[str, float, float, float | None], ...] = ()
    text: str = ""
    language: str | None = None


class SpeechModel(Protocol):
    """A speech model inside its own process: ``XModel(path, opening)``. One batch at a time."""

    facts: Facts

    def transcribe(self, batch: list[Utterance], task: Task) -> list[Said]:
        """As many answers as utterances, in order. Raises ApiError."""

    def close(self) -> None:
        """Release what must be released; the process ends after."""
