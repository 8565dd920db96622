"""The same model with wider attention heads: vLLM's CPU kernels have none for heads of 8.

Every head of size `d` gets zeros up to `wide`. Rotary positions turn dimension `i` with `i + d/2` at a speed that
depends on `i/d`: the old dimension `i` goes where the wide head turns at that very speed. Scores are divided by
sqrt(wide) instead of sqrt(d), which the queries' weights make up for. What is computed is the same, to the rounding.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def widen(folder: Path, target: Path, wide: int = 32) -> Path:
    """Copy the Llama of `folder` to `target` with heads of size `wide`, a multiple of what they are."""
    shutil.copytree(folder, target)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    size = config["hidden_size"] // heads
    half = np.arange(size // 2) * (wide // size)
    places = np.concatenate([half, wide // 2 + half])
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
            count = heads if "q_proj" in name else groups
            grown = np.zeros((count, wide, tensor.shape[1]), tensor.dtype)
            scale = math.sqrt(wide / size) if "q_proj" in name else 1.0
            grown[:, places] = tensor.reshape(count, size, -1) * np.asarray(scale, tensor.dtype)
            tensors[name] = grown.reshape(count * wide, -1)
        elif name.endswith("o_proj.weight"):
            grown = np.zeros((tensor.shape[0], heads, wide), tensor.dtype)
            grown[:, :, places] = tensor.reshape(tensor.shape[0], heads, size)
            tensors[name] = grown.reshape(tensor.shape[0], -1)
    save_file(tensors, target / "model.safetensors", {"format": "pt"})
    (target / "config.json").write_text(json.dumps({**config, "head_dim": wide}), encoding="utf-8")
    return target
