"""What a Hugging Face folder says of itself without its weights being read: family, parameters, context, sizes."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_MAX_HEADER = 100 * 1024 * 1024


@dataclass(frozen=True)
class FolderFacts:
    """`parameters` counts stored weights; `kv_values_per_token` the numbers that one token adds to the cache."""

    family: str
    parameters: int
    context: int
    kv_values_per_token: int


def describe(folder: Path) -> FolderFacts | None:
    """The facts of `folder`, or None when it is not a readable model folder."""
    try:
        stamp = max(path.stat().st_mtime_ns for path in (folder / "config.json", *folder.glob("*.safetensors")))
    except OSError:
        return None
    return _describe(folder, stamp)


@lru_cache(maxsize=64)
def _describe(folder: Path, _stamp: int) -> FolderFacts | None:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        parameters = sum(_count(path) for path in sorted(folder.glob("*.safetensors")))
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict):
        return None
    nested = config.get("text_config")
    text: dict[str, Any] = nested if isinstance(nested, dict) else config
    return FolderFacts(
        family=str(config.get("model_type", "")),
        parameters=parameters,
        context=int(text.get("max_position_embeddings") or text.get("n_positions") or 0),
        kv_values_per_token=_kv_values(text),
    )


def whole(folder: Path) -> bool:
    """True when configuration, tokenizer and every weight file that the index names are there."""
    if not (folder / "config.json").is_file():
        return False
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return all((folder / Path(shard).name).is_file() for shard in shards)


def _count(path: Path) -> int:
    """Numbers stored in a safetensors file, from its header."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 0 < size <= _MAX_HEADER:
            raise ValueError("not a safetensors header")
        header = json.loads(file.read(size))
    try:
        return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not a safetensors header") from error


def _kv_values(config: dict[str, Any]) -> int:
    layers = int(config.get("num_hidden_layers") or config.get("n_layer") or 0)
    heads = int(config.get("num_attention_heads") or config.get("n_head") or 1)
    hidden = int(config.get("hidden_size") or config.get("n_embd") or 0)
    kv_heads = int(config.get("num_key_value_heads") or heads)
    head_dim = int(config.get("head_dim") or (hidden // heads if heads else 0))
    return 2 * layers * kv_heads * head_dim
