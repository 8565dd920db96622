"""Serves all rows of a model in one forward: continuous batching for every decoder whose past is keys and values.

transformers has a batching of its own (`ContinuousBatchingManager`, 5.23). It is not used, because it samples for
itself: nothing there gives a request its own seed, penalties, bias, imposed form or log-probabilities, rows cannot be
fed tokens that a grammar forces, and a batch of it is slower on a CPU than this one (FACTS: 250–270 tokens per second
at 8 clients, falling at 16). What is kept of transformers is the model: its layers call our attention over our cache.

Rows are independent to the last bit on a CPU as long as the linear layers are (`linear.py` sees to it). On a GPU
cuBLAS picks its kernels by the number of rows, so a tie within rounding may fall otherwise alone than in company.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from gpt.engines.transformers.attention import NAME, runs_of, step
from gpt.engines.transformers.cache import SlotCache, costs_when_written
from gpt.engines.transformers.runner import Feed, ImageReader

BASE = "__base__"  # peft's name for the model without adapter
JOINT = 8  # ids that a row may read in a step with others: about as long as one, where memory is what is waited for
_PROBE = (21, 9, 14)  # ids of the rows that are compared at start
_log = logging.getLogger("frigo.gpt")


@dataclass(eq=False)
class _Row:
    slot: int
    length: int = 0
    offset: int = 0  # from a token's number in the row to its position (images)


class BatchRunner:
    """A `Runner` over one slot cache of at most `budget` bytes."""

    joint = JOINT

    def __init__(
        self,
        model: Any,
        device: torch.device,
        *,
        vocabulary: int,
        context: int,
        budget: int,
        rows: int,
        slice: int,  # noqa: A002  the protocol's own name
        images: ImageReader | None = None,
    ) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.width = self.rows = rows
        self.slice = slice
        self.images = images
        self._device = device
        self._open: list[_Row] = []  # by slot, without a gap
        self._real = False
        self._cache = SlotCache(len(_PROBE), max(_PROBE) + 8)
        self._probe()
        per_token = max(1, self._cache.bytes_per_token())
        self.capacity = max(1, budget // per_token)
        self._real = not costs_when_written(device)  # then slots are few and short, and grow
        self._cache = SlotCache(1, 256) if self._real else SlotCache(rows, min(context, self.capacity) + 1)

    def fits(self, lengths: Sequence[int]) -> bool:
        return (len(lengths) * max(lengths, default=0) if self._real else sum(lengths)) <= self.capacity

    def open(self) -> _Row:
        row = _Row(len(self._open))
        self._open.append(row)
        return row

    def release(self, row: _Row) -> None:
        last = self._open.pop()
        if last is not row:  # the last row takes its place: slots in use stay together
            self._cache.move(last.slot, row.slot, last.length)
            self._open[row.slot] = last
            last.slot, row.slot = row.slot, last.slot
        self._cache.forget(row.slot)

    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        feeds_in_order = sorted(range(len(feeds)), key=lambda i: feeds[i].row.slot)
        ordered = [feeds[i] for i in feeds_in_order]
        logits = self._forward(ordered)
        for feed in ordered:
            feed.row.length += len(feed.ids)
        if feeds_in_order == list(range(len(feeds))):
            return logits
        back = torch.empty(len(feeds), dtype=torch.long)
        back[torch.tensor(feeds_in_order)] = torch.arange(len(feeds))
        return logits[back.to(logits.device)]

    def _forward(self, feeds: Sequence[Feed]) -> torch.Tensor:
        columns = max(len(feed.ids) for feed in feeds)
        if self._real:
            longest = max(feed.row.length for feed in feeds) + columns
            longest = max(longest, *(row.length for row in self._open))
            self._cache.fit(len(self._open), longest, self.capacity)
        ids = [[0] * (columns - len(feed.ids)) + list(feed.ids) for feed in feeds]
        positions = [self._positions(feed, columns) for feed in feeds]
        more: dict[str, Any] = {}
        if any(feed.adapter for feed in feeds):
            more["adapter_names"] = [feed.adapter or BASE for feed in feeds]
        numbered = torch.tensor(positions, device=self._device)
        if feeds[0].images and self.images is not None:
            read = self.images(feeds[0].ids, feeds[0].images)
            more |= read.arguments
            feeds[0].row.offset = read.offset
            numbered = read.positions if read.positions is not None else numbered
        self._cache.begin([(i, f.row.slot, f.row.length, len(f.ids)) for i, f in enumerate(feeds)])
        step.runs = runs_of([(f.row.slot, f.row.length, len(f.ids)) for f in feeds])
        try:
            output = self.model(
                input_ids=torch.tensor(ids, device=self._device),
                position_ids=numbered,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
                **more,
            )
        finally:
            step.runs = None
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    def passes(self, ids: Sequence[int], adapter: str | None, *, hidden: bool) -> Iterator[torch.Tensor]:
        """See `ReadingRunner`. Over a cache of its own."""
        cache = SlotCache(1, len(ids) + 1)
        more: dict[str, Any] = {"adapter_names": [adapter]} if adapter else {}
        for start in range(0, len(ids), self.slice):
            part = list(ids[start : start + self.slice])
            cache.begin([(0, 0, start, len(part))])
            step.runs = runs_of([(0, start, len(part))])
            try:
                output = self.model(
                    input_ids=torch.tensor([part], device=self._device),
                    position_ids=torch.arange(start, start + len(part), device=self._device)[None],
                    past_key_values=cache,
                    use_cache=True,
                    output_hidden_states=hidden,
                    logits_to_keep=1 if hidden else 0,
                    **more,
                )
            finally:
                step.runs = None
            yield output.hidden_states[-1][0] if hidden else output.logits[0]

    @staticmethod
    def _positions(feed: Feed, columns: int) -> list[int]:
        first = feed.row.length + feed.row.offset
        return [0] * (columns - len(feed.ids)) + list(range(first, first + len(feed.ids)))

    def close(self) -> None:
        self.model = None
        self._cache = SlotCache(0, 0)
        self._open = []

    def _probe(self) -> None:
        """Compare a few rows with transformers' own cache and attention. Raises ValueError when they differ: this
        kind of model is not for us."""
        texts = [[(7 * i + 3 * n + 1) % self.vocabulary for i in range(n)] for n in _PROBE]
        config = self.model.config.get_text_config()
        before = config._attn_implementation
        expected = [self._plain(ids) for ids in texts]
        config._attn_implementation_internal = NAME
        layers = list(getattr(config, "layer_types", None) or [])
        sliding = sum(kind == "sliding_attention" for kind in layers)
        try:
            rows = [self.open() for _ids in texts]
            for row, ids in zip(rows, texts, strict=True):
                self.step([Feed(row, ids[:-4])])
            self.step([Feed(row, ids[-4 : -1 - i]) for i, (row, ids) in enumerate(zip(rows, texts, strict=True))])
            for i, (row, ids) in enumerate(zip(rows, texts, strict=True)):
                for token in ids[-1 - i : -1]:
                    self.step([Feed(row, [token])])
            step.windows = 0
            found = self.step([Feed(row, ids[-1:]) for row, ids in zip(rows, texts, strict=True)])
            if step.windows < sliding:
                raise ValueError("a sliding window that attention is not told of")
            for row in rows:
                self.release(row)
            far = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, expected, strict=True))
            if not far < (1e-3 if self.model.dtype == torch.float32 else 0.05):
                raise ValueError(f"logits differ by {far:.1e} of the largest")
        except Exception as error:
            config._attn_implementation_internal = before
            raise ValueError(str(error)) from error

    def _plain(self, ids: list[int]) -> torch.Tensor:
        tokens = torch.tensor([ids], device=self._device)
        cache = DynamicCache(config=self.model.config)
        output = self.model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits: torch.Tensor = output.logits[0, -1].float()
        return logits
