"""nanochat's model as the scheduler of `gpt.engines.transformers` runs it: sampling, stops, constraints,
log-probabilities and cancellation are its business, and the same for every model."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from gpt.engines.nanochat.model import Cache, Model, allocated
from gpt.engines.transformers.runner import Feed

_JOINT = 8  # ids that a row may read in a step with others: what a computation's result usually takes
_CPU_ROWS = 32
_GPU_ROWS = 64
_STALL = 2.5e10  # weights × prompt ids in a slice: about a quarter of a second on two cores


class NanochatRunner:
    """A `Runner` whose caches take at most `budget` bytes. On a CPU a row's logits are the same to the last bit in any
    company; on a GPU, cuBLAS picks its kernels by the number of rows and a tie within rounding may fall otherwise."""

    joint = _JOINT

    def __init__(self, model: Model, parameters: int, *, context: int, budget: int) -> None:
        self._model: Model | None = model
        architecture = model.architecture
        on_cpu = model.device.type == "cpu"
        self.vocabulary = architecture.vocab_size
        self.width = self.rows = _CPU_ROWS if on_cpu else _GPU_ROWS
        portion = 1 << max(0, int(_STALL / max(1, parameters)).bit_length() - 1)
        self.slice = max(32, min(512, portion)) if on_cpu else 512
        self._held = max(1, budget // (architecture.kv_values_per_token * model.width))  # tokens, all rows together
        self.capacity = min(context, self._held)

    def fits(self, lengths: Sequence[int]) -> bool:
        return len(lengths) <= 1 or sum(allocated(length, self.capacity) for length in lengths) <= self._held

    def open(self) -> Cache:
        return Cache(self.capacity)

    def release(self, row: Cache) -> None:
        row.clear()

    def step(self, feeds: Sequence[Feed]) -> Tensor:
        assert self._model is not None  # noqa: S101  the scheduler's thread has ended before `close`
        return self._model.step([(feed.row, feed.ids) for feed in feeds])

    def close(self) -> None:
        self._model = None
