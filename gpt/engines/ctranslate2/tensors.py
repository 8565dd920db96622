"""The weights of a safetensors folder, read a few megabytes at a time: no mapping stays, no torch.

The format: 8 bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, the data
(https://github.com/huggingface/safetensors).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpt.engines.ctranslate2.weight_files import BadWeightsError, header_bytes, weight_files

BLOCK_BYTES = 8 * 2**20  # read at once, as float32
_STORED = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # bfloat16 is the upper half of a float32
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies. `stored` is its safetensors type."""

    name: str
    file: Path
    offset: int
    stored: str
    shape: tuple[int, ...]


class TensorFolder:
    """Every tensor of a model folder, sharded or not; remembers which ones were used."""

    def __init__(self, folder: Path) -> None:
        self._tensors: dict[str, Tensor] = {}
        self._used: set[str] = set()
        for path in weight_files(folder):
            for tensor in _read_header(path):
                if tensor.name in self._tensors:
                    raise BadWeightsError(f"{tensor.name} is in two files")
                self._tensors[tensor.name] = tensor

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of `name`. Raises BadWeightsError when it is missing."""
        return self._find(name).shape

    def ignore(self, *suffixes: str) -> None:
        """Tensors that the model does not compute with (masks kept by old versions, tied copies)."""
        self._used.update(name for name in self._tensors if name.endswith(suffixes))

    def unused(self) -> list[str]:
        """The tensors that nothing has read or ignored."""
        return sorted(set(self._tensors) - self._used)

    def whole(self, name: str) -> Floats:
        """A tensor as float32, all at once."""
        tensor = self._find(name)
        self._used.add(name)
        return _values(tensor, 0, math.prod(tensor.shape)).reshape(tensor.shape)

    def row_blocks(self, name: str) -> Iterator[Floats]:
        """The rows of a matrix as float32, `BLOCK_BYTES` at a time."""
        tensor = self._find(name)
        self._used.add(name)
        rows, width = tensor.shape
        step = max(1, BLOCK_BYTES // (4 * max(1, width)))
        for first in range(0, rows, step):
            count = min(step, rows - first)
            yield _values(tensor, first * width, count * width).reshape(count, width)

    def _find(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise BadWeightsError(f"{name} is missing")
        return self._tensors[name]


def _read_header(path: Path) -> Iterator[Tensor]:
    raw = header_bytes(path)
    start = 8 + len(raw)
    size = path.stat().st_size
    try:
        header: dict[str, Any] = json.loads(raw)
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = (int(offset) for offset in entry["data_offsets"])
            shape = tuple(int(side) for side in entry["shape"])
            if entry["dtype"] in _STORED:
                width = np.dtype(_STORED[entry["dtype"]]).itemsize
                if begin < 0 or min(shape, default=0) < 0 or end - begin != math.prod(shape) * width:
                    raise BadWeightsError(f"{name} has not the size that its shape says")
            if start + end > size:
                raise BadWeightsError(f"{path.name} is cut")
            yield Tensor(name, path, start + begin, str(entry["dtype"]), shape)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise error if isinstance(error, BadWeightsError) else BadWeightsError(f"{path.name} is malformed") from error


def _values(tensor: Tensor, first: int, count: int) -> Floats:
    kind = _STORED.get(tensor.stored)
    if kind is None:
        raise BadWeightsError(f"{tensor.name} is stored as {tensor.stored}")
    dtype = np.dtype(kind)
    with tensor.file.open("rb") as file:
        raw = np.fromfile(file, dtype=dtype, count=count, offset=tensor.offset + first * dtype.itemsize)
    if raw.size != count:
        raise BadWeightsError(f"{tensor.file.name} is cut")
    if tensor.stored == "BF16":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32, copy=False)
