"""What this Space runs on: a GPU lent for each call (ZeroGPU), a GPU of its own, or processors only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from common.machine.resources import read_resources

Kind = Literal["zerogpu", "gpu", "cpu"]
_TRUE = {"1", "t", "true"}


@dataclass(frozen=True)
class Hardware:
    """`memory` is the GPU's, else the container's; bytes, 0 when unknown (a GPU that is only lent)."""

    kind: Kind
    name: str
    memory: int = 0

    def described(self) -> str:
        """One line for people."""
        size = f", {self.memory / 1e9:.0f} Go" if self.memory else ""
        return f"{self.name}{size}"


def detect() -> Hardware:
    """The hardware, as its environment says. torch is imported only when it is installed and no GPU is lent."""
    if os.environ.get("SPACES_ZERO_GPU", "").lower() in _TRUE:
        return Hardware("zerogpu", "ZeroGPU (un GPU prêté le temps de chaque réponse)")
    if find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            return Hardware("gpu", torch.cuda.get_device_name(0), torch.cuda.get_device_properties(0).total_memory)
    resources = read_resources(use_gpu=False)
    cores = f"{resources.cpus:g} cœur" + ("s" if resources.cpus >= 2 else "")
    return Hardware("cpu", f"processeur ({cores})", resources.memory_limit)
