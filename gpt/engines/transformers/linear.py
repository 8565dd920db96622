"""Linear layers of a CPU: weights laid out once as oneDNN's kernels read them, instead of anew at each call.

The arithmetic is the same, two to three times faster for a few rows. And a row's result no longer depends on how many
rows it is computed with, which makes greedy text the same alone and in company (measured bit for bit with 1 to 512
rows, bfloat16 and float32, 64 to 10,240 inputs; where a single row would be summed otherwise it is computed as two).
The packed weight takes the plain one's place in memory.

Layers that read the same input (queries, keys and values; gate and up) share one packed weight: the first that is
called computes for all. They remain modules of their own, so that an adapter's hook finds each under its name.

Where this build of torch or this CPU has no such kernels, layers are left as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from gpt.engines.transformers.embedding import map_embedding

_TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"), ("w1", "w3"))
_ONE_SUM = 768  # inputs: oneDNN sums more of them in parts when there is one row (seen from 2,048 on, not at 768)
_linear: Any = torch.ops.mkldnn._linear_pointwise


class PackedLinear(nn.Linear):
    """A linear layer whose weight is oneDNN's. Still an `nn.Linear` for those who look for one."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        nn.Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.register_parameter("bias", None if bias is None else nn.Parameter(bias, requires_grad=False))
        self._doubled = self.in_features > _ONE_SUM

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  nn.Linear's own name
        """[…, in_features] → […, out_features]."""
        if self._doubled and input.numel() == self.in_features:
            rows = input.reshape(1, -1).repeat(2, 1)
            found: torch.Tensor = _linear(rows, self.weight, self.bias, "none", [], "")
            return found[0].view(*input.shape[:-1], -1)
        return _linear(input, self.weight, self.bias, "none", [], "")  # type: ignore[no-any-return]


class _Together:
    """Several layers of one input, computed at the first one's call. Used by one thread."""

    def __init__(self, layer: PackedLinear, sizes: Sequence[int]) -> None:
        self._layer = layer
        self._sizes = list(sizes)
        self._input: torch.Tensor | None = None
        self._parts: dict[int, torch.Tensor] = {}

    def take(self, index: int, given: torch.Tensor) -> torch.Tensor:
        """The layer's share of the result for `given`."""
        if self._input is not given or index not in self._parts:
            self._input = given
            self._parts = dict(enumerate(self._layer(given).split_with_sizes(self._sizes, dim=-1)))
        part = self._parts.pop(index)
        if not self._parts:
            self._input = None
        return part

    def part(self, index: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """One layer's share of the weight, unpacked, and of the bias."""
        weight: torch.Tensor = self._layer.weight.to_dense()
        bias = self._layer.bias
        own = weight.split_with_sizes(self._sizes)[index].clone()
        return own, None if bias is None else bias.split_with_sizes(self._sizes)[index].clone()


class SharedLinear(nn.Linear):
    """One of several layers that read the same input."""

    def __init__(self, together: _Together, index: int, layer: PackedLinear, size: int) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, size
        self.weight = layer.weight
        self.register_parameter("bias", None)
        self._together = together
        self._index = index

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  nn.Linear's own name
        """[…, in_features] → […, out_features]."""
        return self._together.take(self._index, input)

    def alone(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The layer's own weight and bias, unpacked."""
        return self._together.part(self._index)


def pack(model: nn.Module, folder: Path) -> int:
    """Pack every plain linear layer of `model`, read from `folder`, one at a time. Gives how many.

    Left alone: layers of other classes (quantized ones), those on a GPU or in another precision, and a weight that
    is also the embedding, unless the embedding can be read from the files instead.
    """
    _part_embeddings(model, folder)
    shared = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    packed = 0
    for module in list(model.modules()):
        plain: dict[str, Any] = {
            name: child
            for name, child in module.named_children()
            if type(child) in (nn.Linear, Conv1D) and id(child.weight) not in shared and packable(child.weight)
        }
        for names in _TOGETHER:
            if all(type(plain.get(name)) is nn.Linear for name in names):
                packed += _pack_together(module, {name: plain.pop(name) for name in names})
        for name, child in plain.items():
            weight = child.weight.detach()
            child.weight = None
            bias = None if child.bias is None else child.bias.detach()
            setattr(module, name, PackedLinear(weight.t() if type(child) is Conv1D else weight, bias))
            packed += 1
    if packed:  # what is left still points into the file, and would keep all of it mapped
        for parameter in model.parameters():
            if type(parameter) is nn.Parameter and parameter.device.type == "cpu" and not parameter.is_mkldnn:
                parameter.data = parameter.data.clone()
    return packed


def unpack(model: nn.Module) -> None:
    """Put plain layers back: for a model that reads their weights instead of calling them."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, PackedLinear):
                setattr(module, name, _plain(child.weight.to_dense(), child.bias))
            elif isinstance(child, SharedLinear):
                setattr(module, name, _plain(*child.alone()))


def _plain(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.register_parameter("bias", None if bias is None else nn.Parameter(bias, requires_grad=False))
    return layer


def _part_embeddings(model: nn.Module, folder: Path) -> None:
    """Where an embedding and a linear layer have one weight, let the embedding read the file."""
    read = {id(m.weight) for m in model.modules() if type(m) is nn.Linear and packable(m.weight)}
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Embedding and id(child.weight) in read and child.max_norm is None:
                mapped = map_embedding(child.weight.detach(), folder)
                if mapped is not None:
                    setattr(module, name, mapped)


def _pack_together(module: nn.Module, layers: dict[str, Any]) -> int:
    """Replace `layers` of `module` by ones that share a weight, or pack each when they do not go together."""
    members = list(layers.values())
    sizes = [layer.out_features for layer in members]
    weights = [layer.weight.detach() for layer in members]
    biases = [None if layer.bias is None else layer.bias.detach() for layer in members]
    for layer in members:
        layer.weight = None
    if len({weight.shape[1] for weight in weights}) > 1 or 0 < sum(bias is None for bias in biases) < len(biases):
        for name, weight, bias in zip(layers, weights, biases, strict=True):
            setattr(module, name, PackedLinear(weight, bias))
        return len(members)
    together = torch.cat([bias for bias in biases if bias is not None]) if biases[0] is not None else None
    whole = PackedLinear(torch.cat(weights), together)
    shared = _Together(whole, sizes)
    for index, name in enumerate(layers):
        setattr(module, name, SharedLinear(shared, index, whole, sizes[index]))
    return len(members)


def packable(weight: Any) -> bool:
    """True when oneDNN can multiply with `weight` packed, on this CPU."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return bool(weight.dtype == torch.float32)
