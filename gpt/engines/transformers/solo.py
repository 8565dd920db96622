"""Serves rows in turn, each with the cache that transformers gives its kind of model: recurrent layers, attention
sinks, and whatever `BatchRunner` finds that it cannot reproduce. Slower with several readers, as exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from transformers import DynamicCache

from gpt.engines.transformers.runner import Feed, ImageReader


@dataclass(eq=False)
class _Row:
    cache: Any
    length: int = 0
    offset: int = 0


class SoloRunner:
    """A `Runner` of one feed a step. `budget` bytes are shared out as `capacity` tokens, by `token_bytes` each."""

    width = 1
    joint = 1

    def __init__(
        self,
        model: Any,
        device: torch.device,
        *,
        vocabulary: int,
        capacity: int,
        rows: int,
        slice: int,  # noqa: A002  the protocol's own name
        images: ImageReader | None = None,
    ) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.capacity = capacity
        self.rows = rows
        self.slice = slice
        self.images = images
        self._device = device
        self._memory = "cache_params" if "cache_params" in signature(model.forward).parameters else "past_key_values"
        self._recurrent = bool(getattr(model, "_is_stateful", False))
        if self._recurrent:
            self.slice = max(slice, capacity)  # and read a prompt at once

    def fits(self, lengths: Sequence[int]) -> bool:
        return sum(lengths) <= self.capacity

    def open(self) -> _Row:
        return _Row(DynamicCache(config=self.model.config))

    def release(self, row: _Row) -> None:
        row.cache = None

    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        (feed,) = feeds
        row = feed.row
        more: dict[str, Any] = {"adapter_names": [feed.adapter]} if feed.adapter else {}
        if feed.images and self.images is not None:
            read = self.images(feed.ids, feed.images)
            row.offset = read.offset
            more |= read.arguments
            if read.positions is not None:
                more["position_ids"] = read.positions
        elif row.offset:
            first = row.length + row.offset
            more["position_ids"] = torch.arange(first, first + len(feed.ids), device=self._device)[None]
        if self._recurrent and row.length:  # such layers go on a token at a time
            for token in feed.ids[:-1]:
                self._forward(row, [token], more)
            return self._forward(row, feed.ids[-1:], more)
        return self._forward(row, feed.ids, more)

    def _forward(self, row: _Row, ids: Sequence[int], more: dict[str, Any]) -> torch.Tensor:
        tokens = torch.tensor([list(ids)], device=self._device)
        output = self.model(input_ids=tokens, use_cache=True, logits_to_keep=1, **{self._memory: row.cache}, **more)
        row.length += len(ids)
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    def passes(self, ids: Sequence[int], adapter: str | None, *, hidden: bool) -> Iterator[torch.Tensor]:
        """See `ReadingRunner`. In one piece: recurrent layers do not go on by slices."""
        more: dict[str, Any] = {"adapter_names": [adapter]} if adapter else {}
        tokens = torch.tensor([list(ids)], device=self._device)
        keep = 1 if hidden else 0
        output = self.model(input_ids=tokens, output_hidden_states=hidden, logits_to_keep=keep, **more)
        yield output.hidden_states[-1][0] if hidden else output.logits[0]

    def close(self) -> None:
        self.model = None
