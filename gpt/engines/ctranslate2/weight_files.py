"""Which safetensors files make a model, and their headers; what is wrong with them. No numpy."""

from __future__ import annotations

import json
from pathlib import Path

_MAX_HEADER = 100 * 2**20


class BadWeightsError(ValueError):
    """A weight file that is cut, malformed, or not what the configuration says."""


class UnsupportedError(ValueError):
    """Something of the configuration that cannot be converted; the message is its name."""


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model: those that the index names, else all."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        single = folder / "model.safetensors"
        return [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadWeightsError("the index of the weights cannot be read") from error
    return [folder / Path(str(name)).name for name in sorted(names)]


def header_bytes(path: Path) -> bytes:
    """The JSON header of a safetensors file. Raises BadWeightsError when there is none."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 0 < size <= _MAX_HEADER:
                raise BadWeightsError(f"{path.name} has no safetensors header")
            header = file.read(size)
    except OSError as error:
        raise BadWeightsError(f"{path.name} cannot be read") from error
    if len(header) != size:
        raise BadWeightsError(f"{path.name} is cut")
    return header
