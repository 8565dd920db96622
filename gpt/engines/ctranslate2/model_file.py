"""Writes CTranslate2's `model.bin`, a tensor at a time.

The layout is the library's own (binary version 6, `ModelSpec._serialize` in ctranslate2/specs/model_spec.py). That
module is not used here because it holds every converted weight in memory until the end, and imports torch where it
is installed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gpt.engines.ctranslate2.convert import Compute
from gpt.engines.ctranslate2.tensors import Floats

_BINARY_VERSION = 6
_SPEC = "TransformerDecoderSpec"
_SPEC_REVISION = 8
_TYPES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3}
_MAX_BYTES = 2**32 - 1  # of one variable: its size is written in four bytes


@dataclass(frozen=True)
class Fixed:
    """A small variable: a norm, a bias, an attribute (shape ())."""

    name: str
    value: NDArray[np.generic]


@dataclass(frozen=True)
class Matrix:
    """A weight matrix; `blocks` gives its rows once, as float32. Becomes int8 with a scale per row, or stays."""

    name: str
    shape: tuple[int, int]
    blocks: Iterable[Floats]


@dataclass(frozen=True)
class Alias:
    """A second name for a variable (tied weights)."""

    name: str
    target: str


Variable = Fixed | Matrix | Alias


def file_bytes(variables: Iterable[Variable], compute: Compute) -> int:
    """The size that the file will have, names and headers rounded up."""
    total = 4096
    for variable in variables:
        total += 256
        if isinstance(variable, Fixed):
            total += variable.value.nbytes
        elif isinstance(variable, Matrix):
            rows, width = variable.shape
            total += rows * width + 4 * rows if compute == "int8" else 4 * rows * width
    return total


def write_model(file: BinaryIO, variables: list[Variable], compute: Compute) -> None:
    """Write `variables`. Raises ValueError when a matrix is not what its shape says or is too large for the format."""
    stored = [v for v in variables if not isinstance(v, Alias)]
    scales = sum(isinstance(v, Matrix) for v in stored) if compute == "int8" else 0
    file.write(struct.pack("<I", _BINARY_VERSION))
    _string(file, _SPEC)
    file.write(struct.pack("<II", _SPEC_REVISION, len(stored) + scales))
    for variable in stored:
        if isinstance(variable, Fixed):
            _fixed(file, variable.name, variable.value)
        elif compute == "int8":
            _int8(file, variable)
        else:
            _header(file, variable.name, variable.shape, "float32")
            for block in _checked(variable):
                file.write(np.ascontiguousarray(block).data)
    aliases = [(v.name, v.target) for v in variables if isinstance(v, Alias)]
    if compute == "int8":
        aliases += [(f"{name}_scale", f"{target}_scale") for name, target in aliases]
    file.write(struct.pack("<I", len(aliases)))
    for name, target in aliases:
        _string(file, name)
        _string(file, target)


def quantized(block: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Rows as int8 and their scales: value = int8 / scale, scale = 127 / largest magnitude (as CTranslate2 does)."""
    largest = np.abs(block).max(axis=1)
    largest[largest == 0] = 127.0
    largest = np.maximum(largest, np.float32(127) / np.finfo(np.float32).max)
    scale = (np.float32(127) / largest).astype(np.float32)
    return np.rint(block * scale[:, None]).astype(np.int8), scale


def _int8(file: BinaryIO, matrix: Matrix) -> None:
    _header(file, matrix.name, matrix.shape, "int8")
    scales = []
    for block in _checked(matrix):
        values, scale = quantized(block)
        file.write(values.data)
        scales.append(scale)
    _fixed(file, f"{matrix.name}_scale", np.concatenate(scales))


def _checked(matrix: Matrix) -> Iterator[Floats]:
    rows = 0
    for block in matrix.blocks:
        if block.shape[1] != matrix.shape[1] or not np.isfinite(block).all():
            raise ValueError(f"{matrix.name} has an impossible value or width")
        rows += block.shape[0]
        yield block
    if rows != matrix.shape[0]:
        raise ValueError(f"{matrix.name} has {rows} rows, not {matrix.shape[0]}")


def _fixed(file: BinaryIO, name: str, value: NDArray[np.generic]) -> None:
    _header(file, name, value.shape, value.dtype.name)
    file.write(value.tobytes())


def _header(file: BinaryIO, name: str, shape: tuple[int, ...], dtype: str) -> None:
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size > _MAX_BYTES:
        raise ValueError(f"{name} is larger than the format allows")
    _string(file, name)
    file.write(struct.pack(f"<B{len(shape)}IBI", len(shape), *shape, _TYPES[dtype], size))


def _string(file: BinaryIO, text: str) -> None:
    raw = text.encode()
    file.write(struct.pack("<H", len(raw) + 1) + raw + b"\0")
