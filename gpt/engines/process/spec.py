"""What the two processes tell each other once: what to open, and what was opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpt.engines.base import Capabilities, SamplingDefaults
from gpt.engines.options import EngineOptions


@dataclass(frozen=True)
class Spec:
    """What to open, and where to log."""

    engine: str
    folder: Path
    options: EngineOptions
    log_level: str = "INFO"
    log_dir: Path | None = None


@dataclass(frozen=True)
class Facts:
    """What the parent must know of a loaded engine without asking each time."""

    name: str
    capabilities: Capabilities
    context: int
    defaults: SamplingDefaults
    quantization: str
