"""What the scheduler asks of a model: rows that hold what was read, and steps that move several of them on at once.

The scheduler decides who runs; the runner computes. `BatchRunner` serves most models, all rows in one forward;
`SoloRunner` the ones whose memory of the past is not a plain key-value cache. A model that is not transformers' own
(nanochat) implements `Runner` itself and is served by the same scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from common.machine.resources import read_resources

_CPU_SHARE = 0.5  # of the free memory that the rows may take: what runs beside us needs some too
_GPU_SHARE = 0.8


@dataclass(frozen=True)
class Feed:
    """`ids` to be read after what `row` already holds, at least one.

    `adapter` is the key of the adapter that the whole row is read with. `images` are only given with a row's first
    ids, which are then the whole prompt.
    """

    row: Any  # what `Runner.open` gave
    ids: Sequence[int]
    adapter: str | None = None
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class ImageInputs:
    """A prompt with images, as the model's forward wants it: its own arguments (pixels, grids, ids of kinds), the
    positions of the ids when they are not simply counted ([..., 1, len(ids)]), and what is added to a later token's
    number in the row to make its position."""

    arguments: dict[str, torch.Tensor]
    positions: torch.Tensor | None = None
    offset: int = 0


ImageReader = Callable[[Sequence[int], "tuple[bytes, ...]"], ImageInputs]  # raises ApiError 400 on an unusable image


class Runner(Protocol):
    """A model with room for some rows. Called from one thread, the scheduler's, in inference mode; nothing here
    needs a lock.

    A runner must
    - give the same logits to a row whatever the other feeds of the step are, to the last bit where it can: greedy
      text is promised to be the same alone and in company. Where it cannot, its docstring says how far it is;
    - leave every row as it was when `step` raises with several feeds: the scheduler then tries each feed alone, and
      only the one that raises again is given up. With `width` 1 that never happens;
    - never hold on to a row after `release`.
    """

    @property
    def vocabulary(self) -> int:
        """Numbers in one row of logits, at least the tokenizer's."""
        ...

    @property
    def width(self) -> int:
        """Most feeds in one step. 1: rows take turns."""
        ...

    @property
    def joint(self) -> int:
        """Most ids that a feed may have in a step with others."""
        ...

    @property
    def rows(self) -> int:
        """Most rows open at once."""
        ...

    @property
    def slice(self) -> int:
        """Most ids in one feed: a long prompt is read in slices so that the others do not wait for it. Always the
        same for a model, because a row's numbers may depend on where its prompt was cut."""
        ...

    @property
    def capacity(self) -> int:
        """Tokens that a row may hold when no other is open."""
        ...

    def fits(self, lengths: Sequence[int]) -> bool:
        """Whether rows of so many tokens may be open together. One of `capacity` always may."""
        ...

    def open(self) -> Any:
        """An empty row."""
        ...

    def release(self, row: Any) -> None:
        """The row is over, its memory is free."""
        ...

    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        """Read every feed into its row. Gives float32 logits [len(feeds), vocabulary], each after the feed's last
        id, that the caller may write to. A feed has `slice` ids at most, `joint` when it is not alone."""
        ...

    def close(self) -> None:
        """Drop the model."""
        ...


class ReadingRunner(Runner, Protocol):
    """A runner that also tells what its model makes of a text, apart from all rows."""

    def passes(self, ids: Sequence[int], adapter: str | None, *, hidden: bool) -> Iterator[torch.Tensor]:
        """Reads `ids` by slices: for each, its logits [len, vocabulary], or with `hidden` its last hidden states
        [len, size], in the model's own precision."""
        ...


def spare_bytes(device: torch.device) -> int:
    """Bytes that the rows of a runner may take where its model is, beside the weights already there."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * _GPU_SHARE)
    return int(read_resources(use_gpu=False).memory_available * _CPU_SHARE)
