"""What the service and the process that holds a pipeline tell each other.

The process may run in another environment than the service's: only these classes, plain Python and numpy's bytes
pass. A recording passes as the name of a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from diarize.engines.pyannote.recipe import Recipe

Span = tuple[int, float, float]
"""(speaker, start, end), in seconds."""


@dataclass(frozen=True)
class Spec:
    """What to open: the recipe, and the folder of each of its parts; where to log."""

    recipe: Recipe
    segmentation: Path
    embedding: Path
    plda: Path | None
    log_level: str = "INFO"
    log_dir: Path | None = None


@dataclass(frozen=True)
class Facts:
    """What the service must know of a loaded pipeline."""

    space: str
    device: str


@dataclass(frozen=True)
class Recording:
    """A file of `samples` raw float32 at 16 kHz, mono, native byte order. The process that reads it takes its name
    away: nothing is left on the disk when either ends, whatever way it ends."""

    path: Path
    samples: int


@dataclass(frozen=True)
class Job:
    """Who speaks in a recording, by how many people: `least` and `most`, both included, None meaning no bound."""

    recording: Recording
    least: int = 1
    most: int | None = None


@dataclass(frozen=True)
class Step:
    """Share of the work that is done, from 0 to 1."""

    share: float


@dataclass(frozen=True)
class Said:
    """What was found: `voices` are the speakers' vectors, of length one, as float32 bytes."""

    turns: tuple[Span, ...]
    exclusive: tuple[Span, ...]
    voices: dict[int, bytes] = field(default_factory=dict)
