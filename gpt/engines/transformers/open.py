"""Puts a loaded model behind the runner that serves it best, with a cache of what memory there is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from gpt.engines.options import EngineOptions
from gpt.engines.transformers.batch import BatchRunner
from gpt.engines.transformers.linear import pack, unpack
from gpt.engines.transformers.runner import Feed, ImageReader, ReadingRunner, spare_bytes
from gpt.engines.transformers.solo import SoloRunner
from gpt.engines.transformers.weights import Weights

_CPU_ROWS = 32
_GPU_ROWS = 64
_STALL = 2.5e10  # weights × prompt ids in a slice: about a quarter of a second on two cores
_log = logging.getLogger("frigo.gpt")


def open_runner(weights: Weights, options: EngineOptions, images: ImageReader | None = None) -> ReadingRunner:
    """The batching runner, or the one-by-one runner for a model that it cannot reproduce."""
    with torch.inference_mode():
        runner = _choose(weights, options, images)
        if weights.device.type == "cpu":
            _pack(runner, weights.model)
    return runner


def _choose(weights: Weights, options: EngineOptions, images: ImageReader | None) -> ReadingRunner:
    on_cpu = weights.device.type == "cpu"
    budget = options.cache_bytes or spare_bytes(weights.device)
    portion = max(32, min(512, 1 << (int(_STALL / max(1, weights.parameters)).bit_length() - 1))) if on_cpu else 512
    common: dict[str, Any] = {
        "vocabulary": weights.vocabulary,
        "rows": _CPU_ROWS if on_cpu else _GPU_ROWS,
        "slice": portion,
        "images": images,
    }
    context = min(weights.context, options.context or weights.context)
    try:
        return BatchRunner(weights.model, weights.device, context=context, budget=budget, **common)
    except ValueError as error:
        _log.info("generations take turns", extra={"reason": str(error)})
    capacity = max(1, budget // _token_bytes(weights.model))
    return SoloRunner(weights.model, weights.device, capacity=capacity, **common)


def _pack(runner: ReadingRunner, model: Any) -> None:
    """Pack the model's linear layers, unless it does something else with their weights than to call them."""

    def logits() -> torch.Tensor:
        row = runner.open()
        try:
            return runner.step([Feed(row, list(range(min(8, runner.vocabulary))))])[0]
        finally:
            runner.release(row)

    before = logits()
    packed = pack(model, Path(model.name_or_path))
    try:
        far = float((logits() - before).abs().max() / before.abs().max())
    except (NotImplementedError, RuntimeError) as error:
        far, reason = float("inf"), str(error)[:200]
    else:
        reason = f"logits differ by {far:.1e}"
    if far < (1e-3 if model.dtype == torch.float32 else 0.05):
        _log.info("linear layers packed", extra={"layers": packed})
    else:
        _log.warning("linear layers left as they are", extra={"reason": reason})
        unpack(model)


def _token_bytes(model: Any) -> int:
    """A token's keys and values in all layers, by the model's config: at most, for layers that keep less."""
    config = model.config.get_text_config()
    queries = getattr(config, "num_attention_heads", None) or 1
    heads = getattr(config, "num_key_value_heads", None) or queries
    size = getattr(config, "head_dim", None) or config.hidden_size // queries
    return int(2 * config.num_hidden_layers * heads * size * model.dtype.itemsize)
