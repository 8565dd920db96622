"""Rotary positions: the inverse frequencies that a model was trained with, whatever the kind of scaling.

Formulas from transformers' modeling_rope_utils (linear: https://arxiv.org/abs/2306.15595, YaRN:
https://arxiv.org/abs/2309.00071, llama3: Llama 3.1's own).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


class UnknownScalingError(ValueError):
    """A kind of scaling that is not known here; its name is the message."""


@dataclass(frozen=True)
class Rope:
    """`factors` divide the plain inverse frequencies (None: plain); `attention` multiplies sines and cosines."""

    base: float
    dim: int
    factors: NDArray[np.float32] | None
    attention: float


def rope_of(config: Mapping[str, Any], head_dim: int, *, default_partial: float = 1.0) -> Rope:
    """What `config` (old `rope_theta` + `rope_scaling`, or new `rope_parameters`) asks for."""
    said = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    base = float(said.get("rope_theta") or config.get("rope_theta") or 10000.0)
    partial = float(said.get("partial_rotary_factor") or config.get("partial_rotary_factor") or default_partial)
    dim = int(head_dim * partial)
    kind = str(said.get("rope_type") or said.get("type") or "default")
    plain = 1.0 / base ** (np.arange(0, dim, 2, dtype=np.float64) / dim)
    attention = 1.0
    match kind:
        case "default":
            return Rope(base, dim, None, attention)
        case "linear":
            scaled = plain / float(said["factor"])
        case "llama3":
            scaled = _llama3(plain, said, config)
        case "yarn":
            scaled, attention = _yarn(plain, base, dim, said, config)
        case _:
            raise UnknownScalingError(kind)
    return Rope(base, dim, (plain / scaled).astype(np.float32), attention)


def _original(said: Mapping[str, Any], config: Mapping[str, Any]) -> float:
    return float(
        said.get("original_max_position_embeddings")
        or config.get("original_max_position_embeddings")
        or config["max_position_embeddings"]
    )


def _llama3(plain: Doubles, said: Mapping[str, Any], config: Mapping[str, Any]) -> Doubles:
    factor, low, high = (float(said[key]) for key in ("factor", "low_freq_factor", "high_freq_factor"))
    original = _original(said, config)
    wavelength = 2 * math.pi / plain
    smooth = (original / wavelength - low) / (high - low)
    between = (1 - smooth) * plain / factor + smooth * plain
    scaled = np.where(wavelength > original / low, plain / factor, between)
    return np.where(wavelength < original / high, plain, scaled)


def _yarn(
    plain: Doubles, base: float, dim: int, said: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[Doubles, float]:
    original = _original(said, config)
    factor = float(said.get("factor") or float(config["max_position_embeddings"]) / original)

    def mscale(times: float = 1.0) -> float:
        return 1.0 if factor <= 1 else 0.1 * times * math.log(factor) + 1.0

    attention = said.get("attention_factor")
    if attention is None:
        one, whole = said.get("mscale"), said.get("mscale_all_dim")
        attention = mscale(float(one)) / mscale(float(whole)) if one and whole else mscale()

    def turns(rotations: float) -> float:
        """The dimension that turns `rotations` times over the original context."""
        return dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(base))

    low, high = turns(float(said.get("beta_fast") or 32)), turns(float(said.get("beta_slow") or 1))
    if said.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    ramp = np.clip((np.arange(dim // 2) - low) / ((high - low) or 0.001), 0, 1)
    return plain / factor * ramp + plain * (1 - ramp), float(attention)
