"""Weights in 8 or 4 bits, so that a model fits where its 16 bits do not (IA_QUANTIZATION).

A tensor at a time while the files are read: memory never holds more than the shrunk model and one tensor. Output
layer, embeddings and the part that sees keep 16 bits: they weigh little and lose the most. `bitsandbytes` does it,
save 8 bits on a CPU, which our own layers (int8.py) compute as fast as 16 bits where its own are many times slower.
"""

from __future__ import annotations

import logging
from typing import Any, Literal, get_args

import torch

from common.errors import ApiError
from common.machine.resources import read_resources
from common.messages import _
from gpt.engines.options import Quantization
from gpt.engines.transformers import int8

Resolved = Literal["none", "int8", "nf4"]

_log = logging.getLogger("frigo.gpt")
_SPARE = 1.25  # what must be free beside the weights: cache, activations
WHOLE = ("lm_head", "visual", "vision_tower", "vision_model", "multi_modal_projector", "connector")


def resolve(asked: Quantization, config: dict[str, Any], parameters: int, width: int, device: torch.device) -> Resolved:
    """How to open a model of `parameters` weights, `width` bytes each when not shrunk: as asked, or with ``auto`` the
    most precise that fits.

    A model whose files are already quantized stays as it is. Raises 422 `model_unusable` when its method is none
    that can be opened here, or when another one is asked for.
    """
    if asked not in get_args(Quantization):
        message = _("quantization : none, int8, nf4 ou auto, pas « %(value)s ».", value=asked)
        raise ApiError(400, "invalid_value", message, "quantization")
    stored = _stored(config)
    if stored is not None:
        if asked not in {"auto", "none", stored}:
            message = _(
                "quantization=%(asked)s (IA_QUANTIZATION) : ce modèle est déjà quantifié en %(stored)s.",
                asked=asked,
                stored=stored,
            )
            raise ApiError(422, "model_unusable", message)
        return stored
    if asked != "auto":
        return asked
    return most_precise(parameters, width, _free(device), cuda=device.type == "cuda")


def most_precise(parameters: int, width: int, free: int, *, cuda: bool) -> Resolved:
    """``none`` when `width` bytes a weight fit in `free`, else ``int8``, else ``nf4`` (GPU only: a CPU is too slow)."""
    if parameters * width * _SPARE <= free:
        return "none"
    if parameters * _SPARE <= free or not cuda:
        return "int8"
    return "nf4"


def loading_options(resolved: Resolved, config: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` that shrink the weights as they are read."""
    if resolved == "none" or _stored(config) is not None:
        return {}
    from transformers import BitsAndBytesConfig

    if resolved == "int8":
        made = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(WHOLE))
    else:
        made = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=list(WHOLE),
        )
    return {"quantization_config": made}


def ours(resolved: Resolved, config: dict[str, Any], device: torch.device) -> bool:
    """True when it is for our own layers to shrink the weights, once they are mapped from their files."""
    return resolved == "int8" and device.type == "cpu" and _stored(config) is None and int8.usable()


def shrink(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Turn the linear layers of `model` (mapped from its files, on a CPU) into 8 bits, and the rest into `dtype`."""
    done = int8.shrink(model, WHOLE)
    _log.info("linear layers in 8 bits", extra={"layers": done})
    for module in model.modules():
        if not isinstance(module, int8.Int8Linear):
            for parameter in module.parameters(recurse=False):
                if parameter.is_floating_point():
                    parameter.data = parameter.data.to(dtype)


def weight_bytes(model: torch.nn.Module) -> int:
    """Bytes of every parameter and buffer, scales included."""
    held: dict[int, int] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        held[id(tensor) if tensor.is_mkldnn else tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        state = getattr(tensor, "quant_state", None)  # bitsandbytes keeps its scales beside a 4-bit weight
        if state is not None:
            held[state.absmax.data_ptr()] = state.absmax.numel() * state.absmax.element_size()
        scale = getattr(tensor, "SCB", None)  # and here beside an 8-bit one
        if scale is not None:
            held[scale.data_ptr()] = scale.numel() * scale.element_size()
    return sum(held.values())


def _stored(config: dict[str, Any]) -> Resolved | None:
    """How the files themselves are quantized; None when they are not. Raises 422 on a method that is not for here."""
    nested = config.get("text_config")
    said = config.get("quantization_config") or (
        nested.get("quantization_config") if isinstance(nested, dict) else None
    )
    if not isinstance(said, dict):
        return None
    method = str(said.get("quant_method", "?")).lower()
    if method == "bitsandbytes":
        if said.get("load_in_8bit"):
            return "int8"
        if said.get("load_in_4bit"):
            return "nf4"
    message = _(
        "Ce modèle est quantifié par « %(method)s », que le moteur transformers de Frigo n'ouvre pas : "
        "prenez sa version d'origine, avec IA_QUANTIZATION=int8 ou nf4.",
        method=method,
    )
    raise ApiError(422, "model_unusable", message)


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return read_resources(use_gpu=False).memory_available
