"""From `model_<step>.pt` to tensors in memory: memory-mapped, `weights_only`, checked before and after."""

from __future__ import annotations

import os
import pickle

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch starts OpenMP: two engines on the same cores

import torch
from torch import Tensor

from common.errors import ApiError
from common.messages import _
from gpt.engines.nanochat.generations import Architecture
from gpt.engines.nanochat.layout import Checkpoint, read_architecture
from gpt.engines.nanochat.linear import linear
from gpt.engines.nanochat.model import Layer, Model, Weights

_COMPILED = "_orig_mod."


def load_model(checkpoint: Checkpoint, device: torch.device) -> tuple[Model, int]:
    """The model on `device` and its number of parameters. Raises `ApiError` 422 with the reason.

    In float32 on a CPU, as nanochat itself does; in bfloat16 on a GPU that computes in it.
    """
    stored, architecture = read_architecture(checkpoint)
    dtype = torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    try:
        state = torch.load(checkpoint.model, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, OSError, EOFError) as error:
        reason = type(error).__name__
        message = _("%(name)s est illisible : %(reason)s", name=checkpoint.model.name, reason=reason)
        raise ApiError(422, "model_unusable", message, "model") from error
    tensors: dict[str, Tensor] = {}
    for name in list(state):
        tensor = state.pop(name)
        plain = str(name).removeprefix(_COMPILED)
        if plain not in stored or tuple(tensor.shape) != stored[plain].shape:
            message = _("%(name)s est illisible : %(reason)s", name=checkpoint.model.name, reason=plain[:80])
            raise ApiError(422, "model_unusable", message, "model")
        kept = torch.float32 if tensor.ndim == 1 else dtype  # a layer's factors are numbers, not weights
        # a copy even where nothing changes: a mapped file may be replaced by the next checkpoint under our feet
        tensors[plain] = tensor.detach().to(device=device, dtype=kept, copy=True).contiguous()
    return Model(architecture, _arranged(architecture, tensors)), sum(tensor.count for tensor in stored.values())


def _arranged(architecture: Architecture, tensors: dict[str, Tensor]) -> Weights:
    count = architecture.n_layer
    resid = _numbers(tensors, "resid_lambdas", 1.0, count)
    x0 = _numbers(tensors, "x0_lambdas", 0.0, count)
    scales = _numbers(tensors, "v0_lambdas", 1.0, count)
    layers = []
    for i in range(count):
        prefix = f"transformer.h.{i}."
        layers.append(
            Layer(
                q=linear(tensors.pop(f"{prefix}attn.c_q.weight")),
                k=linear(tensors.pop(f"{prefix}attn.c_k.weight")),
                v=linear(tensors.pop(f"{prefix}attn.c_v.weight")),
                projection=linear(tensors.pop(f"{prefix}attn.c_proj.weight")),
                rise=linear(tensors.pop(f"{prefix}mlp.c_fc.weight")),
                fall=linear(tensors.pop(f"{prefix}mlp.c_proj.weight")),
                resid=resid[i],
                x0=x0[i],
                value_embedding=tensors.get(f"value_embeds.{i}.weight"),
                value_gate=tensors.get(f"{prefix}attn.ve_gate.weight"),
                value_scale=scales[i],
            )
        )
    return Weights(
        embedding=tensors["transformer.wte.weight"],
        head=linear(tensors.pop("lm_head.weight")),
        layers=tuple(layers),
        smear_gate=tensors.get("smear_gate.weight"),
        smear=_numbers(tensors, "smear_lambda", 0.0, 1)[0],
        backout=_numbers(tensors, "backout_lambda", 0.0, 1)[0],
    )


def _numbers(tensors: dict[str, Tensor], name: str, default: float, count: int) -> list[float]:
    return [float(value) for value in tensors[name].tolist()] if name in tensors else [default] * count
