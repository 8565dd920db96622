"""The key-value cache of a batch: one slot per row, each as long as the longest row may be, none copied to grow.

On a CPU the slots are address space that the machine has not been asked for yet: a page costs memory once a token is
written to it, and is given back when its row is over. That makes slots as simple as preallocated ones and as small as
what they hold. On a GPU, where there is no such thing, the slots grow by copies, with something to spare each time.
"""

from __future__ import annotations

import contextlib
import mmap
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import Cache

_NORESERVE = 0x4000  # Linux's MAP_NORESERVE: the mmap module names it from Python 3.13 on
_UNIT = 64  # tokens; slots are multiples of it, and so begin on a page's boundary or nearly
_PAGE = mmap.PAGESIZE


def costs_when_written(device: torch.device) -> bool:
    """Whether memory of `device` may be asked for without taking it: on Linux, unless it counts strictly."""
    return device.type == "cpu" and sys.platform == "linux" and _overcommits()


@cache
def _overcommits() -> bool:
    try:
        return Path("/proc/sys/vm/overcommit_memory").read_text(encoding="ascii").strip() != "2"
    except OSError:
        return True


class Slots:
    """[slots, heads, tokens, size] numbers of one layer, keys or values; what was never written reads as zero."""

    def __init__(self, slots: int, heads: int, tokens: int, size: int, like: torch.Tensor) -> None:
        self._memory: mmap.mmap | None = None
        self._like = like
        tokens = -(-tokens // _UNIT) * _UNIT
        self.data = self._reserve((slots, heads, tokens, size))

    def _reserve(self, shape: tuple[int, ...]) -> torch.Tensor:
        if not costs_when_written(self._like.device):
            return torch.zeros(shape, dtype=self._like.dtype, device=self._like.device)
        size = self._like.element_size() * torch.Size(shape).numel()
        self._memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
        with contextlib.suppress(OSError):  # a kernel without huge pages
            self._memory.madvise(mmap.MADV_NOHUGEPAGE)  # with them a token would cost 2 MiB per layer and head
        return torch.frombuffer(self._memory, dtype=self._like.dtype).view(shape)

    def resize(self, slots: int, tokens: int) -> None:
        """Take that many slots and tokens; what is in both the old and the new ones stays."""
        old = self.data
        self.data = self._reserve((slots, old.shape[1], -(-tokens // _UNIT) * _UNIT, old.shape[3]))
        rows, columns = min(slots, old.shape[0]), min(self.data.shape[2], old.shape[2])
        self.data[:rows, :, :columns] = old[:rows, :, :columns]

    def forget(self, slot: int) -> None:
        """Give the slot's memory back to the machine, where it can be."""
        if self._memory is None:
            return
        size = self.data.stride(0) * self.data.element_size()
        start = -(-slot * size // _PAGE) * _PAGE
        end = (slot + 1) * size // _PAGE * _PAGE
        if end > start:
            self._memory.madvise(mmap.MADV_DONTNEED, start, end - start)

    def move(self, source: int, target: int, tokens: int) -> None:
        """Copy the first `tokens` of one slot to another."""
        self.data[target, :, :tokens] = self.data[source, :, :tokens]


class SlotCache(Cache):  # type: ignore[misc]  # transformers is not typed
    """What transformers' layers write to and read from. The runner says beforehand, in `writes`, where to.

    Each write is (row of the batch, slot, first position, tokens): the row's last `tokens` columns go there. When all
    rows write one token, `places` does it in one operation instead.
    """

    def __init__(self, slots: int, tokens: int) -> None:
        super().__init__(layers=[])
        self._shape = (slots, tokens)
        self._keys: list[Slots | None] = []
        self._values: list[Slots | None] = []
        self.writes: list[tuple[int, int, int, int]] = []
        self._places: dict[tuple[int, int], torch.Tensor] = {}
        self.seen = 0  # tokens of the longest row of the step before it

    def begin(self, writes: list[tuple[int, int, int, int]]) -> None:
        """Before a step: what it will write."""
        self.writes = writes
        self._places = {}
        self.seen = max(first for _row, _slot, first, _tokens in writes)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_args: Any, **_more: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write [rows, heads, columns, size] keys and values; gives the slots of the layer, all of them."""
        while len(self._keys) <= layer_idx:
            self._keys.append(None)
            self._values.append(None)
        keys = self._keys[layer_idx] = self._keys[layer_idx] or self._slots(key_states)
        values = self._values[layer_idx] = self._values[layer_idx] or self._slots(value_states)
        self._write(keys.data, key_states)
        self._write(values.data, value_states)
        return keys.data, values.data

    def _slots(self, states: torch.Tensor) -> Slots:
        return Slots(self._shape[0], states.shape[1], self._shape[1], states.shape[3], states)

    def _write(self, data: torch.Tensor, states: torch.Tensor) -> None:
        rows, heads, columns, size = states.shape
        if rows > 1 and columns == 1:
            shape = (heads, data.shape[2])
            places = self._places.get(shape)
            if places is None:
                slots = torch.tensor([slot for _row, slot, _first, _tokens in self.writes], device=data.device)
                firsts = torch.tensor([first for _row, _slot, first, _tokens in self.writes], device=data.device)
                inside = torch.arange(heads, device=data.device) * data.shape[2]
                places = (slots[:, None] * (heads * data.shape[2]) + inside + firsts[:, None]).view(-1)
                self._places[shape] = places
            data.view(-1, size).index_copy_(0, places, states.reshape(-1, size))
            return
        for row, slot, first, tokens in self.writes:
            data[slot, :, first : first + tokens] = states[row, :, columns - tokens :]

    def fit(self, slots: int, tokens: int, limit: int) -> None:
        """Hold at least that many slots and tokens, with something to spare as long as their product is within
        `limit`. Slots from the given number on may be lost."""
        have = self._shape
        if have[0] >= slots and have[1] >= tokens:
            return
        spare = (max(slots, have[0]), tokens + tokens // 2 if have[1] < tokens else have[1])
        self._shape = spare if spare[0] * spare[1] <= limit else (slots, tokens)
        for held in self._held():
            held.resize(*self._shape)

    def forget(self, slot: int) -> None:
        """Give a slot's memory back."""
        for held in self._held():
            held.forget(slot)

    def move(self, source: int, target: int, tokens: int) -> None:
        """Copy a row's `tokens` from one slot to another."""
        for held in self._held():
            held.move(source, target, tokens)

    def bytes_per_token(self) -> int:
        """What a token of a row costs in all layers, once a step has shown their shape."""
        return sum(held.data.shape[1] * held.data.shape[3] * held.data.element_size() for held in self._held())

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002  its callers name it
        """What transformers asks to number positions, which the runner gives it anyway."""
        return self.seen

    def _held(self) -> list[Slots]:
        return [held for held in (*self._keys, *self._values) if held is not None]
