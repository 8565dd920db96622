"""Writes nanochat folders as each generation of nanochat saved them, with random weights: their text means nothing."""

from __future__ import annotations

import json
import pickle
from itertools import islice
from pathlib import Path
from typing import Any

MARKS = ("bos", "user_start", "user_end", "assistant_start", "assistant_end")
MARKS += ("python_start", "python_end", "output_start", "output_end")
SPECIAL = tuple(f"<|{name}|>" for name in MARKS)
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
CONFIG = {"sequence_len": 512, "vocab_size": 300, "n_layer": 5, "n_head": 4, "n_kv_head": 2, "n_embd": 64}
WORDS = [b"le", b"la", b" le", b" la", b"es", b" d", b"12", b"on", b"es ", b"ou", b" p"]

# What each generation saves and how it computes: FORMAT.md's table, by commit. None: the tensor is not there.
TABLE: dict[str, dict[str, Any]] = {
    "3a5e0bc": {"padded": False, "windows": None, "lambdas": False},
    "f1bf69d": {"padded": True, "windows": None, "lambdas": False},
    "aa530cd": {"padded": True, "windows": None, "lambdas": True},
    "fbc1484": {"padded": True, "windows": "half", "lambdas": True},
    "9a88194": {"padded": True, "windows": "half", "lambdas": True, "values": "every"},
    "e85db6b": {"padded": True, "windows": "half", "lambdas": True, "values": "alternate", "channels": 32, "gate": 2.0},
    "aba30cb": {
        **{"padded": True, "windows": "half", "lambdas": True, "values": "alternate", "channels": 32, "gate": 2.0},
        "cap": 20.0,
    },
    "6ed7d1d": {
        **{"padded": True, "windows": "third", "lambdas": True, "values": "alternate", "channels": 12, "gate": 3.0},
        **{"base": 100_000.0, "scale": 1.15},
    },
    "a825e63": {
        **{"padded": True, "windows": "quarter", "lambdas": True, "values": "alternate", "channels": 12, "gate": 3.0},
        **{"base": 100_000.0, "scale": 1.2, "smear": True},
    },
}
RECOGNISED = [commit for commit in TABLE if commit not in {"e85db6b", "aba30cb"}]


def value_layers(row: dict[str, Any], layers: int) -> list[int]:
    match row.get("values"):
        case "every":
            return list(range(layers))
        case "alternate":
            return [i for i in range(layers) if i % 2 == (layers - 1) % 2]
    return []


def state_of(commit: str, config: dict[str, Any], seed: int = 3) -> dict[str, Any]:
    """Random tensors under the names that `commit` saves."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    row = TABLE[commit]
    width, layers = config["n_embd"], config["n_layer"]
    kv_width = width // config["n_head"] * config["n_kv_head"]
    rows = -(-config["vocab_size"] // 64) * 64 if row["padded"] else config["vocab_size"]

    def draw(*shape: int, scale: float = 0.2) -> Any:
        return torch.randn(*shape, generator=generator) * scale

    state = {"transformer.wte.weight": draw(rows, width, scale=1.0), "lm_head.weight": draw(rows, width, scale=1.0)}
    for i in range(layers):
        block = f"transformer.h.{i}"
        state[f"{block}.attn.c_q.weight"] = draw(width, width)
        state[f"{block}.attn.c_k.weight"] = draw(kv_width, width)
        state[f"{block}.attn.c_v.weight"] = draw(kv_width, width)
        state[f"{block}.attn.c_proj.weight"] = draw(width, width)
        state[f"{block}.mlp.c_fc.weight"] = draw(4 * width, width)
        state[f"{block}.mlp.c_proj.weight"] = draw(width, 4 * width, scale=0.05)
    if row["lambdas"]:
        state["resid_lambdas"] = 1 + draw(layers)
        state["x0_lambdas"] = draw(layers)
    for i in value_layers(row, layers):
        state[f"value_embeds.{i}.weight"] = draw(rows, kv_width, scale=1.0)
        if row.get("channels"):
            gate = draw(config["n_kv_head"], row["channels"], scale=1.0)
            state[f"transformer.h.{i}.attn.ve_gate.weight"] = gate
    if row.get("values") == "every":
        state["v0_lambdas"] = draw(layers, scale=1.0)
    if row.get("smear"):
        state["smear_gate.weight"] = draw(1, 24, scale=1.0)
        state["smear_lambda"] = draw(1, scale=2.0)
        state["backout_lambda"] = draw(1, scale=1.0)
    return state


def write_checkpoint(folder: Path, state: dict[str, Any], config: dict[str, Any], step: int = 10, **meta: Any) -> Path:
    """`folder`/model_<step>.pt and its meta."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / f"model_{step:06d}.pt")
    described = {"step": step, "val_bpb": None, "model_config": config, "user_config": {}, **meta}
    (folder / f"meta_{step:06d}.json").write_text(json.dumps(described))
    return folder


def config_of(commit: str, **changes: Any) -> dict[str, Any]:
    """The model_config that `commit` would write."""
    pattern = {"window_pattern": "SSSL"} if TABLE[commit]["windows"] else {}
    return {**CONFIG, **pattern, **changes}


def write_generation(base: Path, commit: str, source: str = "chatsft", tag: str = "d5", **changes: Any) -> Path:
    """A whole base folder with one model of `commit`."""
    config = config_of(commit, **changes)
    write_checkpoint(base / f"{source}_checkpoints" / tag, state_of(commit, config), config)
    write_tokenizer(base, config["vocab_size"])
    return base


def ranks_of(size: int) -> dict[bytes, int]:
    """`size` ranks: bytes, a few words, then made-up pairs."""
    letters = [bytes([97 + i]) for i in range(26)]
    made = (a + b + c for c in [b"", *letters] for a in letters for b in letters)
    pieces = [*(bytes([i]) for i in range(256)), *WORDS]
    pieces += [piece for piece in islice(made, size) if piece not in WORDS]
    return {piece: rank for rank, piece in enumerate(pieces[:size])}


def encoding_state(vocab_size: int) -> dict[str, Any]:
    """What tiktoken keeps of an encoding."""
    ranks = ranks_of(vocab_size - len(SPECIAL))
    special = {name: len(ranks) + i for i, name in enumerate(SPECIAL)}
    return {"name": "rustbpe", "pat_str": PATTERN, "mergeable_ranks": ranks, "special_tokens": special}


def pickled_encoding(state: Any, protocol: int = 4, arguments: bytes = b")", built: bytes = b"\x81") -> bytes:
    """The pickle of a tiktoken.Encoding with `state`, written by hand: tiktoken is not needed."""
    body = pickle.dumps(state, protocol)
    inner = body[2:-1]  # without PROTO and STOP
    if inner[:1] == b"\x95":
        inner = inner[9:]  # without FRAME
    name = b"\x8c\x0dtiktoken.core\x8c\x08Encoding\x93" if protocol >= 4 else b"ctiktoken.core\nEncoding\n"
    # the memo indices of the state count on from what was put before it: nothing is, by our own hand
    return bytes([0x80, protocol]) + name + arguments + built + inner + b"b."


def write_tokenizer(base: Path, vocab_size: int, data: bytes | None = None) -> Path:
    path = base / "tokenizer" / "tokenizer.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickled_encoding(encoding_state(vocab_size)) if data is None else data)
    return path
