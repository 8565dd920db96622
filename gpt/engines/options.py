"""How a model is to be opened, the same for every engine; each takes what concerns it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Quantization = Literal["none", "int8", "nf4", "auto"]


@dataclass(frozen=True)
class EngineOptions:
    """`threads` 0 means what the container allows; `context` and `cache_bytes` None mean what the model and the
    memory allow; `gpu_device_ids` empty means every GPU that can be seen; `adapters` are (key, folder) pairs."""

    use_gpu: bool = True
    quantization: Quantization = "auto"
    threads: int = 0
    context: int | None = None
    cache_bytes: int | None = None
    gpu_device_ids: tuple[int, ...] = ()
    adapters: tuple[tuple[str, Path], ...] = ()
