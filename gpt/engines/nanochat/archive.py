"""What a torch archive (`model_*.pt`) holds, read from its directory and its index, without torch and without a weight.

`torch.save` writes an uncompressed zip: `<name>/data.pkl`, a pickle of names, shapes and storages, and one file per
storage, `<name>/data/<n>`. https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt.engines.nanochat.pickles import Made, Name, PickleError, read_pickle

_ORDERED = Name("collections", "OrderedDict")
_TENSOR = Name("torch._utils", "_rebuild_tensor_v2")
_PARAMETER = Name("torch._utils", "_rebuild_parameter")
_WIDTHS = {
    Name("torch", "FloatStorage"): ("float32", 4),
    Name("torch", "HalfStorage"): ("float16", 2),
    Name("torch", "BFloat16Storage"): ("bfloat16", 2),
}
_NAMES = frozenset({_ORDERED, _TENSOR, _PARAMETER, *_WIDTHS})
_MAX_INDEX = 16 * 2**20  # bytes of data.pkl; a model of 100 layers has 200 KB
_COMPILED = "_orig_mod."  # what torch.compile puts before every name


class ArchiveError(ValueError):
    """Not an archive of plain tensors, or a damaged one. The message says what, in English."""


@dataclass(frozen=True)
class Stored:
    """One tensor as it is stored."""

    shape: tuple[int, ...]
    dtype: str  # float32, float16 or bfloat16
    bytes: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def stored_tensors(path: Path) -> dict[str, Stored]:
    """Every tensor of the state that `path` holds, by its name without torch.compile's prefix.

    Raises `ArchiveError`, or `OSError` when the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = archive.infolist()
            indexes = [file for file in files if file.filename.endswith("/data.pkl")]
            if len(indexes) != 1 or any(file.compress_type != zipfile.ZIP_STORED for file in files):
                raise ArchiveError("not a torch archive")
            if indexes[0].file_size > _MAX_INDEX:
                raise ArchiveError("its index is too big")
            root = indexes[0].filename.removesuffix("data.pkl")
            sizes = {file.filename: file.file_size for file in files}
            index = read_pickle(archive.read(indexes[0]), _NAMES, persistent=True)
    except PickleError as error:
        raise ArchiveError(str(error)) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ArchiveError("not a torch archive") from error
    entries = index.items if isinstance(index, Made) and index.of == _ORDERED else index
    if type(entries) is not dict or not entries:
        raise ArchiveError("it holds no named tensors")
    found: dict[str, Stored] = {}
    for name, value in entries.items():
        if type(name) is not str:
            raise ArchiveError("it holds no named tensors")
        found[name.removeprefix(_COMPILED)] = _stored(name, value, sizes, root)
    return found


def _stored(name: str, value: Any, sizes: dict[str, int], root: str) -> Stored:
    if isinstance(value, Made) and value.of == _PARAMETER and value.arguments:
        value = value.arguments[0]
    try:
        if not isinstance(value, Made) or value.of != _TENSOR:
            raise ValueError
        storage, _offset, shape, _stride = value.arguments[:4]
        kind, storage_type, key, _location, _numbers = storage.arguments[0]
        dtype, width = _WIDTHS[storage_type]
        if kind != "storage" or type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
            raise ValueError
        tensor = Stored(shape, dtype, math.prod(shape) * width)
        if sizes[f"{root}data/{key}"] < tensor.bytes:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise ArchiveError(f"{name[:80]} is not a whole tensor of 32 or 16 bits") from None
    return tensor
