"""nanochat's model, every generation of it, computing several sequences in one step.

The tokens of a step, whatever sequence they belong to, go through the linear layers together (that is where time
goes); each sequence then attends to its own keys and values. Nothing is padded, and a sequence may bring a slice of its
prompt while others bring one token.

Source: nanochat/gpt.py in karpathy/nanochat (MIT).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from gpt.engines.nanochat.generations import SMEAR_CHANNELS, Architecture

ROOM = 256  # positions that a cache grows by


class Linear(Protocol):
    """A matrix that multiplies rows: [rows, in] → [rows, out]."""

    def __call__(self, rows: Tensor, /) -> Tensor: ...


@dataclass(frozen=True)
class Layer:
    """One block's weights. `value_embedding` where the layer has one; `value_gate` its gate, else `value_scale`."""

    q: Linear
    k: Linear
    v: Linear
    projection: Linear
    rise: Linear
    fall: Linear
    resid: float
    x0: float
    value_embedding: Tensor | None = None
    value_gate: Tensor | None = None
    value_scale: float = 1.0


@dataclass(frozen=True)
class Weights:
    """All of a model's tensors, on one device in one precision; scalars are plain numbers."""

    embedding: Tensor
    head: Linear
    layers: tuple[Layer, ...]
    smear_gate: Tensor | None = None
    smear: float = 0.0
    backout: float = 0.0


class Cache:
    """One sequence's keys and values, and the last token's embedding for the smear. `limit`: the context."""

    def __init__(self, limit: int | None = None) -> None:
        self.length = 0
        self.keys: Tensor | None = None  # [layer, kv head, position, channel]
        self.values: Tensor | None = None
        self.last_embedding: Tensor | None = None
        self._limit = limit

    def clear(self) -> None:
        """Hold nothing any more."""
        self.length = 0
        self.keys = self.values = self.last_embedding = None

    def make_room(self, positions: int, like: Tensor, shape: tuple[int, int, int]) -> None:
        """Hold `positions` more. `shape`: layers, kv heads, channels."""
        layers, heads, channels = shape
        if self.keys is not None and self.length + positions <= self.keys.shape[2]:
            return
        size = allocated(self.length + positions, self._limit)
        grown = [like.new_empty(layers, heads, size, channels) for _ in range(2)]
        if self.keys is not None and self.values is not None:
            grown[0][:, :, : self.length] = self.keys[:, :, : self.length]
            grown[1][:, :, : self.length] = self.values[:, :, : self.length]
        self.keys, self.values = grown


def allocated(length: int, limit: int | None) -> int:
    """Positions that a cache of `length` tokens takes."""
    size = -(-length // ROOM) * ROOM
    return max(length, min(size, limit)) if limit is not None else size


@dataclass(frozen=True)
class _Span:
    """The rows of a step that belong to one sequence."""

    cache: Cache
    begin: int
    end: int


class Model:
    """The function from tokens to logits. Not thread-safe; call it under `torch.inference_mode`."""

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        self.architecture = architecture
        self._weights = weights
        self._generation = architecture.generation
        self._cos, self._sin = self._rotary(architecture.sequence_len)

    @property
    def device(self) -> torch.device:
        return self._weights.embedding.device

    @property
    def width(self) -> int:
        """Bytes of a number."""
        return self._weights.embedding.dtype.itemsize

    def step(self, parts: Sequence[tuple[Cache, Sequence[int]]], *, every: bool = False) -> Tensor:
        """Read each sequence's next ids into its cache. Caches are as they were when it raises.

        Gives float32 logits over the vocabulary: one row per sequence, after its last id; one row per id when
        `every`. The ids must fit the context with what the cache holds.
        """
        spans, begin = [], 0
        for cache, ids in parts:
            spans.append(_Span(cache, begin, begin + len(ids)))
            begin += len(ids)
        tokens = torch.tensor([i for _cache, ids in parts for i in ids], dtype=torch.long, device=self.device)
        positions = torch.cat(
            [
                torch.arange(span.cache.length, span.cache.length + span.end - span.begin, device=self.device)
                for span in spans
            ]
        )
        x = _norm(functional.embedding(tokens, self._weights.embedding))
        last = [x[span.end - 1].clone() for span in spans]
        x = self._smeared(x, spans)
        x = self._blocks(x, tokens, positions, spans)
        if not every:
            x = x[torch.tensor([span.end - 1 for span in spans], device=self.device)]
        logits = self._weights.head(_norm(x))[:, : self.architecture.vocab_size].float()
        for span, embedding in zip(spans, last, strict=True):
            span.cache.length += span.end - span.begin
            span.cache.last_embedding = embedding
        cap = self._generation.softcap
        return cap * torch.tanh(logits / cap)

    def _rotary(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines, [position, 1, half of a head's channels]."""
        size = self.architecture.head_dim
        like = self._weights.embedding
        channels = torch.arange(0, size, 2, dtype=torch.float32, device=like.device)
        times = torch.arange(length, dtype=torch.float32, device=like.device)
        angles = torch.outer(times, 1.0 / (self._generation.rope_base ** (channels / size)))
        cos, sin = angles.cos(), angles.sin()
        if self._generation.rope_in_bf16:
            cos, sin = cos.bfloat16(), sin.bfloat16()
        return cos.to(like.dtype)[:, None, :], sin.to(like.dtype)[:, None, :]

    def _smeared(self, x: Tensor, spans: list[_Span]) -> Tensor:
        """Each token takes a little of the one before it, across steps too."""
        gate_weight = self._weights.smear_gate
        if gate_weight is None:
            return x
        before = torch.roll(x, 1, 0)
        for span in spans:
            last = span.cache.last_embedding
            before[span.begin] = 0.0 if last is None else last
        gate = self._weights.smear * torch.sigmoid(_narrow(x[:, :SMEAR_CHANNELS], gate_weight))
        return x + gate * before

    def _blocks(self, x: Tensor, tokens: Tensor, positions: Tensor, spans: list[_Span]) -> Tensor:
        shape = (self.architecture.n_layer, self.architecture.n_kv_head, self.architecture.head_dim)
        for span in spans:
            span.cache.make_room(span.end - span.begin, x, shape)
        rotary = self._cos[positions], self._sin[positions]
        x0, middle = x, x
        for index, layer in enumerate(self._weights.layers):
            x = layer.resid * x + layer.x0 * x0
            x = x + self._attention(_norm(x), index, tokens, rotary, spans)
            rising = functional.relu(layer.rise(_norm(x))).square()
            x = x + layer.fall(rising)
            if index == self.architecture.n_layer // 2:
                middle = x
        return x - self._weights.backout * middle if self._generation.smear else x

    def _attention(
        self, x: Tensor, index: int, tokens: Tensor, rotary: tuple[Tensor, Tensor], spans: list[_Span]
    ) -> Tensor:
        layer, size = self._weights.layers[index], self.architecture.head_dim
        q, k, v = (linear(x).view(len(x), -1, size) for linear in (layer.q, layer.k, layer.v))
        if layer.value_embedding is not None:
            v = v + self._value_gate(x, layer) * functional.embedding(tokens, layer.value_embedding).view_as(v)
        scale = self._generation.qk_scale
        q, k = _norm(_rotated(q, *rotary)) * scale, _norm(_rotated(k, *rotary)) * scale
        mixed = torch.empty_like(q)
        for span in spans:
            rows = slice(span.begin, span.end)
            mixed[rows] = self._attend(span, index, q[rows], k[rows], v[rows])
        return layer.projection(mixed.view(len(x), -1))

    def _value_gate(self, x: Tensor, layer: Layer) -> Tensor | float:
        if layer.value_gate is None:
            return layer.value_scale
        gate = torch.sigmoid(_narrow(x[:, : self._generation.gate_channels], layer.value_gate))
        return (self._generation.gate_factor * gate)[:, :, None]

    def _attend(self, span: _Span, index: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What the new tokens of one sequence read from all of its own. [token, head, channel] in and out."""
        cache, count = span.cache, len(q)
        assert cache.keys is not None  # noqa: S101  make_room comes first
        assert cache.values is not None  # noqa: S101
        keys, values = cache.keys[index], cache.values[index]
        end = cache.length + count
        keys[:, cache.length : end] = k.transpose(0, 1)
        values[:, cache.length : end] = v.transpose(0, 1)
        window = self.architecture.windows[index]
        begin = 0 if window is None else max(0, cache.length - window)
        keys, values = keys[:, begin:end], values[:, begin:end]
        heads = self.architecture.n_kv_head
        if count == 1:  # the heads that share keys are so many queries, and all see the same
            shared = q.view(heads, -1, self.architecture.head_dim)
            return functional.scaled_dot_product_attention(shared, keys, values).view(1, -1, q.shape[2])
        group = q.shape[1] // heads
        mixed = functional.scaled_dot_product_attention(
            q.transpose(0, 1),
            keys.repeat_interleave(group, 0),
            values.repeat_interleave(group, 0),
            attn_mask=_visible(cache.length, end, begin, window, q.device),
        )
        return mixed.transpose(0, 1)


def _visible(first: int, end: int, begin: int, window: int | None, device: torch.device) -> Tensor:
    """For tokens `first` to `end`, which of `begin` to `end` they see: themselves, and `window` before them."""
    distance = torch.arange(first, end, device=device)[:, None] - torch.arange(begin, end, device=device)[None, :]
    visible = distance >= 0
    return visible if window is None else visible & (distance <= window)


def _narrow(x: Tensor, weight: Tensor) -> Tensor:
    """A linear layer of a few channels, each row on its own: a matrix product may round by the number of rows."""
    return (x[:, None, :] * weight).sum(-1)


def _norm(x: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],))


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Both halves of each head's channels, turned by minus the angle."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos + right * sin, right * cos - left * sin], dim=-1)
