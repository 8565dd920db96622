"""Read a tensor file of PyTorch's first (pre-1.6) format with numpy alone.

The format is a row of pickles followed by raw storages. Unpickling is restricted to the five names that a plain
state dict needs, so that nothing in the file can run.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class CheckpointError(Exception):
    """The file is not what we expect: another format, or a pickle that names something forbidden."""


class _Tensor:
    """A view in a storage whose bytes come later in the file."""

    def __init__(self, storage: tuple[str, str], offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride


def _rebuild(storage: tuple[str, str], offset: int, shape: Any, stride: Any, *_rest: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(stride))


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return name
        raise CheckpointError(f"the file names {module}.{name}")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        kind, storage_type, key, _location, _size = pid[:5]
        if kind != "storage":
            raise CheckpointError(f"unknown persistent id {kind!r}")
        return storage_type, key


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The object that `torch.save` wrote, with numpy arrays in the place of tensors.

    Raises CheckpointError for any other format.
    """
    with path.open("rb") as file:
        try:
            if _load(file) != _MAGIC or _load(file) != _PROTOCOL:
                raise CheckpointError("not a legacy PyTorch file")
            _load(file)  # byte order and sizes of the machine that wrote it: little-endian
            content = _load(file)
            keys = _load(file)
            return dict(_filled(content, _storages(file, keys, content)))
        except (pickle.UnpicklingError, EOFError, ValueError) as error:
            raise CheckpointError(str(error)) from error


def _load(file: BinaryIO) -> Any:
    return _Unpickler(file).load()


def _tensors(item: Any) -> Any:
    if isinstance(item, _Tensor):
        yield item
    elif isinstance(item, dict):
        for value in item.values():
            yield from _tensors(value)
    elif isinstance(item, list | tuple):
        for value in item:
            yield from _tensors(value)


def _storages(file: BinaryIO, keys: list[str], content: Any) -> dict[str, npt.NDArray[Any]]:
    types = {tensor.storage[1]: tensor.storage[0] for tensor in _tensors(content)}
    storages = {}
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        dtype = _DTYPES[types.get(key, "FloatStorage")]
        raw = file.read(count * dtype.itemsize)
        if len(raw) != count * dtype.itemsize:
            raise CheckpointError("the file is cut short")
        storages[key] = np.frombuffer(raw, dtype)
    return storages


def _filled(item: Any, storages: dict[str, npt.NDArray[Any]]) -> Any:
    if isinstance(item, _Tensor):
        base = storages[item.storage[1]]
        strides = tuple(s * base.itemsize for s in item.stride)
        return np.lib.stride_tricks.as_strided(base[item.offset :], item.shape, strides, writeable=False)
    if isinstance(item, dict):
        return {key: _filled(value, storages) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return type(item)(_filled(value, storages) for value in item)
    return item
