"""Matrices as each device multiplies them best: oneDNN's layout on a CPU, torch's own elsewhere.

On a CPU a row's result must not depend on the rows beside it, so that greedy text is the same alone and in company:
oneDNN's kernels keep that promise from two rows on, so a single row is computed as two.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gpt.engines.nanochat.model import Linear


class _Packed:
    """A float32 weight in oneDNN's own layout; the plain one is not kept."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)

    def __call__(self, rows: Tensor, /) -> Tensor:
        if len(rows) == 1:
            found: Tensor = _pointwise(rows.repeat(2, 1), self._weight, None, "none", [], "")
            return found[:1]
        return _pointwise(rows, self._weight, None, "none", [], "")  # type: ignore[no-any-return]


class _Plain:
    def __init__(self, weight: Tensor) -> None:
        self._weight = weight

    def __call__(self, rows: Tensor, /) -> Tensor:
        return functional.linear(rows, self._weight)


_HAS_ONEDNN = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
_pointwise: Any = torch.ops.mkldnn._linear_pointwise if _HAS_ONEDNN else None


def linear(weight: Tensor) -> Linear:
    """`weight` [out, in] as a function of rows."""
    on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32
    return _Packed(weight) if on_cpu and _HAS_ONEDNN else _Plain(weight)
