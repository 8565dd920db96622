"""Embeddings read from the model's file, a row at a time, where the output layer has packed the same weight.

Most small models have one weight for both. The output layer wants it packed (`linear.py`), the embedding wants its
rows; two copies would add a fifth to such a model's memory. The file has the rows already: mapped, it costs page cache
for what is read, which the machine takes back when it needs it.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_CHUNK = 4096  # rows compared at once


class MappedEmbedding(nn.Module):
    """`rows` [pieces, size] is a tensor in a mapped file, in any float precision; the result is in `dtype`."""

    def __init__(self, rows: torch.Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self._rows = rows  # neither parameter nor buffer: nobody shall move, copy or count it
        self._dtype = dtype
        self.num_embeddings, self.embedding_dim = rows.shape

    @property
    def weight(self) -> torch.Tensor:
        """[pieces, size], as the file has it."""
        return self._rows

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  nn.Embedding's own name
        """Ids […] → [..., size]."""
        return nn.functional.embedding(input, self._rows).to(self._dtype)


def map_embedding(weight: torch.Tensor, folder: Path) -> MappedEmbedding | None:
    """The embedding of `weight` read from `folder`'s safetensors, or None when no tensor there is the same."""
    for rows, memory in _mapped(folder, weight.shape):
        same = all(
            torch.equal(rows[i : i + _CHUNK].to(weight.dtype), weight[i : i + _CHUNK])
            for i in range(0, len(rows), _CHUNK)
        )
        if hasattr(mmap, "MADV_DONTNEED"):
            memory.madvise(mmap.MADV_DONTNEED)  # what was read to compare
        if same:
            return MappedEmbedding(rows, weight.dtype)
    return None


def _mapped(folder: Path, shape: torch.Size) -> Iterator[tuple[torch.Tensor, mmap.mmap]]:
    """The tensors of that shape in the folder's files (https://huggingface.co/docs/safetensors: 8 bytes of length, a
    JSON header, the numbers)."""
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(length))
            found = [
                entry
                for name, entry in header.items()
                if name != "__metadata__" and torch.Size(entry["shape"]) == shape and entry["dtype"] in _DTYPES
            ]
            if not found:
                continue
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # torch wants it writable; nobody writes
        if hasattr(mmap, "MADV_RANDOM"):
            memory.madvise(mmap.MADV_RANDOM)
        for entry in found:
            dtype, start = _DTYPES[entry["dtype"]], 8 + length + entry["data_offsets"][0]
            if start % dtype.itemsize == 0:
                yield torch.frombuffer(memory, dtype=dtype, count=shape.numel(), offset=start).view(shape), memory
