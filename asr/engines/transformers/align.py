"""When each token was said, from where the decoder looked while it wrote it.

As in OpenAI's Whisper (whisper/timing.py): dynamic time warping finds the monotonic path through the attention of the
heads that follow the sound, which a checkpoint names. A token's span is then narrowed to where the attention really
is, so that a pause belongs to no word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from asr.engines.transformers.decode import Encoded

_MEDIAN = 7  # frames
_NOTHING = 0.1  # of a head's strongest contrast between tokens
_FADED = 0.15  # of what sets a token apart in its span, at most: beyond, it is not being said
Array = np.ndarray[Any, np.dtype[np.float64]]
Span = tuple[float, float]


def attention(decoder: Any, ids: torch.Tensor, encoded: Encoded, wanted: Sequence[tuple[int, int]]) -> torch.Tensor:
    """The cross-attention of the `wanted` (layer, head), while `ids` (rows, tokens) are read again.

    (rows, heads, tokens, frames); the heads that are not wanted are not kept: a large model's would fill the memory.
    """
    found: dict[tuple[int, int], torch.Tensor] = {}

    def keeper(layer: int) -> Any:
        def keep(_module: Any, _given: Any, given_back: tuple[torch.Tensor, torch.Tensor]) -> None:
            for head in (head for at, head in wanted if at == layer):
                found[layer, head] = given_back[1][:, head].float()

        return keep

    hooks = [
        decoder.layers[layer].encoder_attn.register_forward_hook(keeper(layer))
        for layer in {at for at, _head in wanted}
    ]
    try:
        with _eager(decoder):
            decoder(input_ids=ids, use_cache=False, **encoded.arguments())
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack([found[one] for one in wanted], dim=1)


@contextmanager
def _eager(decoder: Any) -> Iterator[None]:
    """The fused attention keeps no weights: compute them plainly for a moment."""
    config, usual = decoder.config, decoder.config._attn_implementation
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = usual


def spans(heads: torch.Tensor) -> list[Span]:
    """Where each token is, in frames (start, end), from `heads` (heads, tokens, frames); the last one is the end's."""
    _count, tokens, frames = heads.shape
    if tokens < 2 or not frames:
        return [(0.0, float(frames))] * max(0, tokens - 1)
    contrast, smooth = (part.double().cpu().numpy() for part in _contrast(heads))
    starts = _path(-smooth)
    found: list[Span] = []
    for token in range(tokens - 1):
        begin, end = starts[token], max(starts[token] + 1, starts[token + 1])
        here = np.maximum(contrast[token, begin:end], 0.0)
        loud = np.flatnonzero(here >= _FADED * here.max())
        found.append((float(begin + loud[0]), float(begin + loud[-1] + 1)))
    return found


def _contrast(heads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What sets each token apart from the others at each frame, over all heads: as it is, and without its spikes."""
    plain = torch.zeros(heads.shape[1:], device=heads.device)
    smooth = torch.zeros_like(plain)
    for head in heads.float():  # one at a time: a median takes as many copies as it has frames
        deviation = head.std(dim=0, correction=0, keepdim=True)
        # Where nobody looks, the little there is must not be blown up: pauses would go to whoever looks around.
        relative = (head - head.mean(dim=0, keepdim=True)) / deviation.clamp(min=max(_NOTHING * deviation.max(), 1e-9))
        around = torch.nn.functional.pad(relative[None], (_MEDIAN // 2, _MEDIAN // 2), mode="replicate")[0]
        plain += relative
        smooth += around.unfold(-1, _MEDIAN, 1).median(dim=-1).values
    return plain / heads.shape[0], smooth / heads.shape[0]


def _path(cost: Array) -> list[int]:
    """Dynamic time warping: the frame at which the cheapest path through `cost` (tokens, frames) enters each token."""
    tokens, frames = cost.shape
    total = np.full((tokens + 1, frames + 1), np.inf)
    total[0, 0] = 0.0
    came = np.zeros((tokens + 1, frames + 1), dtype=np.int8)
    for diagonal in range(2, tokens + frames + 1):  # a diagonal needs only the two before it
        row = np.arange(max(1, diagonal - frames), min(tokens, diagonal - 1) + 1)
        column = diagonal - row
        ways = np.stack((total[row - 1, column - 1], total[row - 1, column], total[row, column - 1]))
        best = ways.argmin(axis=0)
        came[row, column] = best
        total[row, column] = cost[row - 1, column - 1] + ways[best, np.arange(row.size)]
    starts = [0] * tokens
    row_at, column_at = tokens, frames
    while row_at > 0 and column_at > 0:
        starts[row_at - 1] = column_at - 1
        step = came[row_at, column_at]
        row_at -= step != 2
        column_at -= step != 1
    return starts
