"""Attention of a batch over its slots: rows of any length, a prompt's slice or a token each, in few calls of torch's
own kernel. transformers' layers call it through their attention interface, under the name `NAME`.

The same row gets the same numbers, to the last bit, whatever its neighbours' lengths: keys are padded to multiples of
16, which torch's CPU kernel does not see in its sums, and an odd number of queries, whose float32 sums depend on where
its scratch memory happens to lie, is made even (measured: torch 2.13, 2 threads, sizes 8 to 128).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "frigo_slots"
_PAD = 16
_WASTE = 1.5  # masked keys that may be read beside the wanted ones, to spare a call


@dataclass
class Run:
    """Neighbouring rows of the batch in neighbouring slots, attended to in one call. `past` are the tokens that each
    held before the step, `queries` how many new ones each has."""

    row: int
    slot: int
    queries: int
    past: list[int]
    masks: dict[tuple[int | None, int], torch.Tensor] = field(default_factory=dict)

    @property
    def keys(self) -> int:
        """Columns of the slots to read."""
        longest = max(self.past) + self.queries
        return longest if self.queries > 1 else -(-longest // _PAD) * _PAD

    def mask(self, window: int | None, groups: int, like: torch.Tensor) -> torch.Tensor:
        """What each query may see, to be added to its scores: [rows, 1, groups × queries or 1, keys]."""
        found = self.masks.get((window, groups))
        if found is None:
            at = torch.arange(self.keys, device=like.device)
            last = torch.tensor(self.past, device=like.device)[:, None] + torch.arange(self.queries, device=like.device)
            hidden = at > last[..., None]
            if window is not None:
                hidden |= at <= last[..., None] - window
            found = torch.zeros(hidden.shape, dtype=like.dtype, device=like.device)
            found.masked_fill_(hidden, float("-inf"))
            if self.queries > 1:
                found = found.repeat(1, groups, 1)
            self.masks[window, groups] = found = found[:, None]
        return found


def runs_of(rows: list[tuple[int, int, int]]) -> list[Run]:
    """The calls for a step whose rows are (slot, past, queries), in the batch's order."""
    runs: list[Run] = []
    wanted = longest = 0
    for row, (slot, past, queries) in enumerate(rows):
        last = runs[-1] if runs else None
        longest = max(longest, past + queries)
        if (
            last is not None
            and queries == last.queries == 1
            and slot == last.slot + len(last.past)
            and longest * (len(last.past) + 1) <= _WASTE * (wanted + past + queries) + 64 * (len(last.past) + 1)
        ):
            last.past.append(past)
            wanted += past + queries
        else:
            runs.append(Run(row, slot, queries, [past]))
            wanted = longest = past + queries
    return runs


class _Step(threading.local):
    runs: list[Run] | None = None
    windows = 0  # calls with a sliding window


step = _Step()  # the thread's own: two engines may run at once


def attend(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _attention_mask: Any,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention function: `query` is [rows, heads, columns, size], `key` and `value` all slots of the
    layer. Raises ValueError on a kind of attention that is not done here."""
    for name in ("softcap", "s_aux", "position_bias", "sinks"):
        if more.get(name) is not None:
            raise ValueError(f"attention with {name}")
    runs = step.runs
    if runs is None:
        raise ValueError("attention outside of a step")
    step.windows += sliding_window is not None
    rows, heads, columns, _size = query.shape
    groups = heads // key.shape[1]
    if len(runs) == 1 and runs[0].queries == columns:
        return _attend_run(runs[0], query, key, value, groups, scaling, sliding_window), None
    out = query.new_zeros(rows, columns, heads, value.shape[3])
    for run in runs:
        part = slice(run.row, run.row + len(run.past))
        fresh = query[part, :, columns - run.queries :]
        out[part, columns - run.queries :] = _attend_run(run, fresh, key, value, groups, scaling, sliding_window)
    return out, None


def _attend_run(
    run: Run,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    groups: int,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    rows, heads, queries, size = query.shape
    shared = heads // groups
    used = slice(run.slot, run.slot + rows)
    key, value = key[used, :, : run.keys], value[used, :, : run.keys]
    # the queries of all heads that share keys go together: [rows, shared, groups × queries, size]
    query = query.reshape(rows, shared, groups * queries, size)
    mask = run.mask(window, groups, query)
    if query.shape[2] % 2:
        query = torch.cat((query, query[:, :, :1]), dim=2)
        if queries > 1:
            mask = torch.cat((mask, mask[:, :, :1]), dim=2)
    out = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)
    out = out[:, :, : groups * queries].reshape(rows, shared, groups, queries, -1)
    return out.permute(0, 3, 1, 2, 4).reshape(rows, queries, heads, -1)


AttentionInterface.register(NAME, attend)
