"""nanochat's model, every generation of it, computing several sequences in one step.

The tokens of a step, whatever sequence they belong to, go through the linear layers together (that is where time
goes); each sequence then attends to its own keys and values. Nothing is padded, and a sequence may bring a slice of its
prompt while others bring one token.

Source: nanochat/gpt.py in karpathy/nanochat (MIT).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from gpt.engines.nanochat.generations import SMEAR_CHANNELS, Architecture

_ROOM = 256  # positions that a cache grows by, at least


@dataclass(frozen=True)
class Layer:
    """One block's weights. `value_embedding` where the layer has one; `value_gate` its gate, else `value_scale`."""

    q: Tensor
    k: Tensor
    v: Tensor
    projection: Tensor
    rise: Tensor
    fall: Tensor
    resid: float
    x0: float
    value_embedding: Tensor | None = None
    value_gate: Tensor | None = None
    value_scale: float = 1.0


@dataclass(frozen=True)
class Weights:
    """All of a model's tensors, on one device in one precision; scalars are plain numbers."""

    embedding: Tensor
    head: Tensor
    layers: tuple[Layer, ...]
    smear_gate: Tensor | None = None
    smear: float = 0.0
    backout: float = 0.0


class Cache:
    """One sequence's keys and values, and the last token's embedding for the smear."""

    def __init__(self) -> None:
        self.length = 0
        self.keys: Tensor | None = None  # [layer, kv head, position, channel]
        self.values: Tensor | None = None
        self.last_embedding: Tensor | None = None

    def make_room(self, positions: int, like: Tensor, shape: tuple[int, int, int], limit: int) -> None:
        """Hold `positions` more. `shape`: layers, kv heads, channels; `limit`: the context."""
        layers, heads, channels = shape
        held = 0 if self.keys is None else self.keys.shape[2]
        if self.length + positions <= held:
            return
        size = min(max(self.length + positions, 2 * held, _ROOM), max(limit, self.length + positions))
        grown = [like.new_empty(layers, heads, size, channels) for _ in range(2)]
        if self.keys is not None and self.values is not None:
            grown[0][:, :, : self.length] = self.keys[:, :, : self.length]
            grown[1][:, :, : self.length] = self.values[:, :, : self.length]
        self.keys, self.values = grown


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
        return self._weights.head.device

    def step(self, parts: Sequence[tuple[Cache, Sequence[int]]], *, every: bool = False) -> Tensor:
        """Read each sequence's next ids into its cache.

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
        x = self._smeared(x, spans)
        x = self._blocks(x, tokens, positions, spans)
        for span in spans:
            span.cache.length += span.end - span.begin
        if not every:
            x = x[torch.tensor([span.end - 1 for span in spans], device=self.device)]
        logits = functional.linear(_norm(x), self._weights.head)[:, : self.architecture.vocab_size].float()
        cap = self._generation.softcap
        return cap * torch.tanh(logits / cap)

    def _rotary(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines, [position, 1, half of a head's channels]."""
        size = self.architecture.head_dim
        head = self._weights.head
        channels = torch.arange(0, size, 2, dtype=torch.float32, device=head.device)
        times = torch.arange(length, dtype=torch.float32, device=head.device)
        angles = torch.outer(times, 1.0 / (self._generation.rope_base ** (channels / size)))
        cos, sin = angles.cos(), angles.sin()
        if self._generation.rope_in_bf16:
            cos, sin = cos.bfloat16(), sin.bfloat16()
        return cos.to(head.dtype)[:, None, :], sin.to(head.dtype)[:, None, :]

    def _smeared(self, x: Tensor, spans: list[_Span]) -> Tensor:
        """Each token takes a little of the one before it, across steps too."""
        gate_weight = self._weights.smear_gate
        if gate_weight is None:
            return x
        before = torch.roll(x, 1, 0)
        for span in spans:
            last = span.cache.last_embedding
            before[span.begin] = 0.0 if last is None else last
            span.cache.last_embedding = x[span.end - 1].clone()
        gate = self._weights.smear * torch.sigmoid(functional.linear(x[:, :SMEAR_CHANNELS], gate_weight))
        return x + gate * before

    def _blocks(self, x: Tensor, tokens: Tensor, positions: Tensor, spans: list[_Span]) -> Tensor:
        shape = (self.architecture.n_layer, self.architecture.n_kv_head, self.architecture.head_dim)
        for span in spans:
            span.cache.make_room(span.end - span.begin, x, shape, self.architecture.sequence_len)
        rotary = self._cos[positions], self._sin[positions]
        x0, middle = x, x
        for index, layer in enumerate(self._weights.layers):
            x = layer.resid * x + layer.x0 * x0
            x = x + self._attention(_norm(x), index, tokens, rotary, spans)
            rising = functional.relu(functional.linear(_norm(x), layer.rise)).square()
            x = x + functional.linear(rising, layer.fall)
            if index == self.architecture.n_layer // 2:
                middle = x
        return x - self._weights.backout * middle if self._generation.smear else x

    def _attention(
        self, x: Tensor, index: int, tokens: Tensor, rotary: tuple[Tensor, Tensor], spans: list[_Span]
    ) -> Tensor:
        layer, size = self._weights.layers[index], self.architecture.head_dim
        q, k, v = (functional.linear(x, weight).view(len(x), -1, size) for weight in (layer.q, layer.k, layer.v))
        if layer.value_embedding is not None:
            v = v + self._value_gate(x, layer) * functional.embedding(tokens, layer.value_embedding).view_as(v)
        scale = self._generation.qk_scale
        q, k = _norm(_rotated(q, *rotary)) * scale, _norm(_rotated(k, *rotary)) * scale
        mixed = torch.empty_like(q)
        for span in spans:
            rows = slice(span.begin, span.end)
            mixed[rows] = self._attend(span, index, q[rows], k[rows], v[rows])
        return functional.linear(mixed.view(len(x), -1), layer.projection)

    def _value_gate(self, x: Tensor, layer: Layer) -> Tensor | float:
        if layer.value_gate is None:
            return layer.value_scale
        gate = torch.sigmoid(functional.linear(x[:, : self._generation.gate_channels], layer.value_gate))
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


def _norm(x: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],))


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Both halves of each head's channels, turned by minus the angle."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos + right * sin, right * cos - left * sin], dim=-1)
