"""What a model's own files say of its size and shape without a weight being read: config.json and safetensors headers.

The same facts come from a local folder or, through `common.hub.facts`, from a hub before any weight is
fetched. The safetensors format: 8 bytes of length, a JSON header, the numbers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 25_000_000  # huggingface_hub's own bound
MAX_JSON_BYTES = 16_000_000
_DTYPE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F4": 0.5}
_PACKED_BYTES = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}
# Buffers that old files carry and that loading makes anew: GPT-2's causal masks, rotary frequencies.
_BUFFER = re.compile(r"(?:^|\.)(?:attn\.(?:masked_)?bias|rotary_emb\.inv_freq)$")
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|wpe|embed_in|word_embeddings|embed_positions)\.weight$")
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out)\.weight$")
_SEEING = re.compile(r"(?:^|\.)(?:visual|vision_tower|vision_model|multi_modal_projector|connector)\.")


@dataclass(frozen=True)
class ModelFacts:
    """Sizes and shape. `parameters` counts distinct numbers; `kv_values` those that one token adds to the cache.

    `linear` are the numbers of ordinary matrices (what int8 and nf4 can shrink in any engine), `embeddings` those of
    token and position tables and of the output layer, `vectors` those of norms and biases, `others` those of expert
    stacks, convolutions and the part that sees; the rest of `parameters` are integers, `packed_bytes` of them, which
    keep their size. `largest` is the biggest tensor; `stored_bytes` what the weight files weigh.
    """

    family: str
    parameters: int
    stored_bytes: int
    context: int = 0
    vocabulary: int = 0
    hidden: int = 0
    layers: int = 0
    heads: int = 0
    kv_heads: int = 0
    kv_values: int = 0
    vision: bool = False
    linear: int = 0
    embeddings: int = 0
    vectors: int = 0
    others: int = 0
    largest: int = 0
    packed_bytes: int = 0

    @property
    def kv_values_per_token(self) -> int:
        """`kv_values`."""
        return self.kv_values


Header = Mapping[str, Any]


def parse_header(data: bytes) -> Header:
    """A safetensors header. Raises ValueError."""
    header = json.loads(data)
    if not isinstance(header, dict):
        raise ValueError("not a safetensors header")
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}


def header_size(prefix: bytes) -> int:
    """Length of the JSON header that follows the first 8 bytes. Raises ValueError when it is not one."""
    size = int.from_bytes(prefix[:8], "little")
    if len(prefix) < 8 or not 0 < size <= MAX_HEADER_BYTES:
        raise ValueError("not a safetensors header")
    return size


def facts_of(config: Mapping[str, Any], headers: Iterable[Header]) -> ModelFacts:
    """The facts that a configuration and all headers of the model tell. Raises ValueError on nonsense."""
    text = _text(config)
    sums = _Sums(tied=bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))))
    try:
        for header in headers:
            for name, tensor in header.items():
                sums.add(name, str(tensor["dtype"]), [int(size) for size in tensor["shape"]])
        return ModelFacts(**shape_of(config), **sums.total())
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not a safetensors header") from error


def facts_of_size(config: Mapping[str, Any], stored_bytes: int, width: int = 2) -> ModelFacts:
    """Facts for when only the weights' total size is known: every number `width` bytes, all in plain matrices."""
    numbers = stored_bytes // width
    shape = shape_of(config)
    tables = min(numbers, int(shape["vocabulary"]) * int(shape["hidden"]))
    sizes: dict[str, Any] = {"parameters": numbers, "linear": numbers - tables, "embeddings": tables}
    return ModelFacts(**shape, stored_bytes=stored_bytes, **sizes)


def shape_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Family, context, vocabulary, layers and cache of a configuration. Raises ValueError when it is no such thing."""
    text = _text(config)
    try:
        return {
            "family": str(config.get("model_type", "")),
            "context": _first(text, "max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"),
            "vocabulary": _first(text, "vocab_size"),
            "hidden": _first(text, "hidden_size", "n_embd", "d_model"),
            "layers": _first(text, "num_hidden_layers", "n_layer", "num_layers"),
            "heads": _heads(text),
            "kv_heads": _kv_heads(text),
            "kv_values": _kv_values(text),
            "vision": isinstance(config.get("vision_config"), dict) or "vision_tower" in config,
        }
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise ValueError("not a model configuration") from error


def read_folder(folder: Path) -> ModelFacts | None:
    """The facts of a local Hugging Face folder, or None when it is not a readable model."""
    try:
        stamp = max(path.stat().st_mtime_ns for path in (folder / "config.json", *folder.glob("*.safetensors")))
        return _read_safetensors(folder, stamp)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=128)
def _read_safetensors(folder: Path, _stamp: int) -> ModelFacts:
    config = json.loads(_bounded(folder / "config.json"))
    if not isinstance(config, dict):
        raise ValueError("not a model configuration")
    paths = sorted(folder.glob("*.safetensors"))
    facts = facts_of(config, [_read_header(path) for path in paths])
    if not facts.parameters:
        raise ValueError("no weights")
    return facts


def _read_header(path: Path) -> Header:
    with path.open("rb") as file:
        return parse_header(file.read(header_size(file.read(8))))


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_JSON_BYTES)


class _Sums:
    """Adds up tensors by what they are."""

    def __init__(self, *, tied: bool) -> None:
        self._tied = tied
        self._seen: set[str] = set()
        self._heads: list[int] = []
        self._tables: set[int] = set()
        self._numbers = {"linear": 0, "embeddings": 0, "vectors": 0, "others": 0}
        self._stored = 0.0
        self._packed = 0
        self._packed_numbers = 0
        self._largest = 0

    def add(self, name: str, dtype: str, shape: list[int]) -> None:
        if any(size < 0 for size in shape):
            raise ValueError("negative size")
        numbers = math.prod(shape)
        if name in self._seen:
            return
        self._seen.add(name)
        if dtype in _PACKED_BYTES:
            self._stored += numbers * _PACKED_BYTES[dtype]
            if not _BUFFER.search(name):
                self._packed += numbers * _PACKED_BYTES[dtype]
                self._packed_numbers += numbers
            return
        self._stored += numbers * _DTYPE_BYTES.get(dtype, 2)
        if _BUFFER.search(name) and (len(shape) != 1 or name.endswith("inv_freq")):
            return
        self._largest = max(self._largest, numbers)
        if _HEAD.search(name):
            self._heads.append(numbers)
        elif _EMBEDDING.search(name):
            self._tables.add(numbers)
            self._numbers["embeddings"] += numbers
        else:
            self._numbers[_kind(name, shape)] += numbers

    def total(self) -> dict[str, Any]:
        # A head that is the embedding table is stored by some (Qwen3) and shared in memory by all.
        heads = sum(numbers for numbers in self._heads if not (self._tied and numbers in self._tables))
        return {
            "parameters": sum(self._numbers.values()) + heads + self._packed_numbers,
            "stored_bytes": int(self._stored),
            "linear": self._numbers["linear"],
            "embeddings": self._numbers["embeddings"] + heads,
            "vectors": self._numbers["vectors"],
            "others": self._numbers["others"],
            "largest": self._largest,
            "packed_bytes": self._packed,
        }


def _kind(name: str, shape: list[int]) -> str:
    if len(shape) < 2:
        return "vectors"
    # Experts are matrices in the file and one stack in memory, which bitsandbytes leaves alone; so is what sees.
    plain = len(shape) == 2 and ".experts." not in name and not _SEEING.search(name)
    return "linear" if plain else "others"


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's part of a configuration: a vision model keeps it apart."""
    for name in ("text_config", "language_config", "llm_config"):
        nested = config.get(name)
        if isinstance(nested, dict):
            return nested
    return config


def _first(config: Mapping[str, Any], *names: str) -> int:
    return next((int(config[name]) for name in names if isinstance(config.get(name), int)), 0)


def _heads(config: Mapping[str, Any]) -> int:
    return _first(config, "num_attention_heads", "n_head") or 1


def _kv_heads(config: Mapping[str, Any]) -> int:
    return 1 if config.get("multi_query") is True else _first(config, "num_key_value_heads") or _heads(config)


def _kv_values(config: Mapping[str, Any]) -> int:
    """Numbers that one token adds to the cache, over all layers that keep one."""
    layers = _first(config, "num_hidden_layers", "n_layer", "num_layers")
    kinds = config.get("layer_types")
    if isinstance(kinds, list) and len(kinds) == layers:  # linear attention and state-space layers keep no cache
        layers = sum(1 for kind in kinds if "attention" in str(kind) and "linear" not in str(kind))
    heads = _heads(config)
    if _first(config, "kv_lora_rank"):  # latent attention, as transformers caches it: keys and values of every head
        keys = _first(config, "qk_nope_head_dim") + _first(config, "qk_rope_head_dim")
        return layers * heads * (keys + _first(config, "v_head_dim"))
    head_dim = _first(config, "head_dim") or _first(config, "hidden_size", "n_embd", "d_model") // heads
    return 2 * layers * _kv_heads(config) * head_dim
