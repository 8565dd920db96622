"""LoRA adapters beside a model: any number held, each row of a batch with its own or none.

The model's layers are left as they are, whatever they are (float, 8 or 4 bits, packed): a hook adds to their output
what the row's adapter says, y += (x·Aᵀ)·Bᵀ × scale (Hu et al. 2021, https://arxiv.org/abs/2106.09685). The rows'
adapters come with each forward as ``adapter_names``, peft's own argument. peft itself is not needed to serve: its
layers would have to replace the model's.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from common.errors import ApiError
from common.messages import _
from gpt.engines.adapter_files import WEIGHTS, check_files, unusable
from gpt.engines.base import Delta, Emit
from gpt.engines.transformers.linear import PackedLinear, packable

BASE = "__base__"  # peft's name for the model without adapter
MAX_HELD = 32
MAX_RANK = 512
_NAME = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])(\.\w+)?\.weight")
# options of peft that change what an adapter computes, with the values that do not
_UNKNOWN: dict[str, tuple[object, ...]] = {
    "alora_invocation_tokens": (None, []),
    "arrow_config": (None,),
    "bias": ("none", None),
    "kasa_config": (None,),
    "layer_replication": (None, []),
    "lora_bias": (False, None),
    "megatron_config": (None,),
    "modules_to_save": (None, []),
    "monteclora_config": (None,),
    "target_parameters": (None, []),
    "trainable_token_indices": (None, []),
    "use_bdlora": (None, False),
    "use_dora": (False, None),
    "use_qalora": (False, None),
}
_log = logging.getLogger("frigo.gpt")


@dataclass(frozen=True)
class _Delta:
    """What an adapter adds to one layer: `down` [rank, in], `up` [out, rank], the scale already in it."""

    down: torch.Tensor
    up: torch.Tensor

    @property
    def nbytes(self) -> int:
        return self.down.nbytes + self.up.nbytes


class _Stack:
    """All adapters of one layer, side by side: two products whatever their number, a mask keeps each row's own.

    Those that no row of a step wants are there too: a row's sums are then made in the same order alone and in
    company. On a CPU the weights are packed as the model's are, for the same reason.
    """

    def __init__(self, deltas: dict[str, _Delta]) -> None:
        self.spans: tuple[tuple[str, int], ...] = tuple((key, delta.down.shape[0]) for key, delta in deltas.items())
        self.dtype = next(iter(deltas.values())).down.dtype
        self._down = _linear(torch.cat([delta.down for delta in deltas.values()]))
        self._up = _linear(torch.cat([delta.up for delta in deltas.values()], dim=1).contiguous())

    def mask(self, names: Sequence[str], like: torch.Tensor) -> torch.Tensor:
        """[rows, 1, ranks]: 1 where a row's adapter is."""
        rows = [[float(key == name) for key, rank in self.spans for _one in range(rank)] for name in names]
        return torch.tensor(rows, dtype=self.dtype, device=like.device)[:, None]

    def __call__(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self._up(self._down(x.to(self.dtype)) * mask)
        return found


def _linear(weight: torch.Tensor) -> torch.nn.Module:
    if packable(weight):
        return PackedLinear(weight, None)
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    return layer


class Adapters:
    """The adapters of one model. Loading and unloading are safe while it serves."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._held: dict[str, dict[str, _Delta]] = {}
        self._leaving: set[str] = set()
        self._users: Counter[str] = Counter()
        self._hooks: dict[str, Any] = {}  # by layer
        self._stacks: dict[str, _Stack] = {}  # by layer
        self._names: Sequence[str] = ()  # the rows' adapters in the forward under way; empty: none wants any
        self._masks: dict[tuple[tuple[str, int], ...], torch.Tensor] = {}  # of that forward
        self._forward = threading.Lock()  # layers get no hook while they compute
        self._change = threading.Condition()
        model.register_forward_pre_hook(self._enter, with_kwargs=True, prepend=True)
        model.register_forward_hook(self._leave, always_call=True)

    def load(self, key: str, folder: Path) -> None:
        """Read the adapter of `folder`. Raises 422 `adapter_unusable`, or 409 `too_many_adapters`."""
        with self._change:
            if key in self._held:
                return
            if len(self._held) >= MAX_HELD:
                message = _("Au plus %(limit)s adaptateurs tiennent à la fois.", limit=MAX_HELD)
                raise ApiError(409, "too_many_adapters", message, "name")
        deltas = read_adapter(folder, self._model)
        with self._forward, self._change:
            self._held[key] = deltas
            self._arrange(deltas)
        size = sum(delta.nbytes for delta in deltas.values())
        _log.info("adapter loaded", extra={"adapter": key, "layers": len(deltas), "bytes": size})

    def unload(self, key: str) -> None:
        """Forget `key` once what uses it has ended."""
        with self._change:
            if key not in self._held or key in self._leaving:
                return
            self._leaving.add(key)
            self._change.wait_for(lambda: not self._users[key])
        with self._forward, self._change:
            self._arrange(self._held.pop(key))
            self._leaving.discard(key)
        _log.info("adapter unloaded", extra={"adapter": key})

    def _arrange(self, changed: Iterable[str]) -> None:
        """Lay out anew what is added to the layers of an adapter that came or left, between two forwards."""
        for layer in changed:
            held = {key: deltas[layer] for key, deltas in self._held.items() if layer in deltas}
            if held:
                self._stacks[layer] = _Stack(held)
            else:
                self._stacks.pop(layer, None)
            if held and layer not in self._hooks:
                self._hooks[layer] = self._model.get_submodule(layer).register_forward_hook(self._adder(layer))
            elif not held:
                self._hooks.pop(layer).remove()

    def keys(self) -> tuple[str, ...]:
        """The adapters held."""
        with self._change:
            return tuple(key for key in self._held if key not in self._leaving)

    def hold(self, key: str, emit: Emit) -> tuple[Emit, Callable[[], None]]:
        """Keep `key` in use for a generation: what to emit with, and what to call when it is cancelled.

        Raises 404 `adapter_not_found`.
        """
        with self._change:
            if key not in self._held or key in self._leaving:
                message = _("L'adaptateur « %(name)s » n'est pas chargé.", name=key)
                raise ApiError(404, "adapter_not_found", message, "model")
            self._users[key] += 1
        once = threading.Lock()

        def release() -> None:
            if once.acquire(blocking=False):
                with self._change:
                    self._users[key] -= 1
                    self._change.notify_all()

        def emit_and_release(item: Delta | Exception) -> None:
            if isinstance(item, Exception) or item.finish_reason is not None:
                release()
            emit(item)

        return emit_and_release, release

    def _enter(
        self, _module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Before a forward: which rows are whose."""
        self._forward.acquire()
        names: Sequence[str] = kwargs.pop("adapter_names", None) or ()
        self._names = names if any(name in self._held for name in names) else ()
        return args, kwargs

    def _leave(self, _module: torch.nn.Module, _args: Any, _output: Any) -> None:
        self._names = ()
        self._masks.clear()
        if self._forward.locked():
            self._forward.release()

    def _adder(self, layer: str) -> Callable[[torch.nn.Module, tuple[Any, ...], torch.Tensor], torch.Tensor | None]:
        def add(_module: torch.nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor | None:
            stack = self._stacks.get(layer)
            if not self._names or stack is None:
                return None
            mask = self._masks.get(stack.spans)
            if mask is None:
                mask = self._masks[stack.spans] = stack.mask(self._names, output)
            return output + stack(args[0], mask).to(output.dtype)

        return add


def read_adapter(folder: Path, model: torch.nn.Module) -> dict[str, _Delta]:
    """What the adapter of `folder` adds to each layer of `model`. Raises 422 `adapter_unusable` with the reason."""
    config = check_files(folder)
    for name, neutral in _UNKNOWN.items():
        if config.get(name) not in neutral:
            raise unusable(_("il demande « %(name)s », qui n'est pas pris en charge", name=name))
    sides: dict[str, dict[str, torch.Tensor]] = {}
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  not a dict
                found = _NAME.fullmatch(name)
                if found is None:
                    raise unusable(_("il change ce qui ne peut pas l'être ici (%(name)s)", name=name[:120]))
                sides.setdefault(found["layer"], {})[found["side"]] = tensors.get_tensor(name)
    except SafetensorError as error:
        raise unusable(_("son fichier n'est pas lisible")) from error
    if not sides:
        raise unusable(_("il est vide"))
    layers = dict(model.named_modules())
    return {layer: _delta(layer, pair, layers, config) for layer, pair in sides.items()}


def _delta(
    layer: str, pair: dict[str, torch.Tensor], layers: dict[str, torch.nn.Module], config: dict[str, Any]
) -> _Delta:
    module = layers.get(layer)
    sizes = _sizes(module) if module is not None else None
    if module is None or sizes is None:
        raise unusable(_("il vise « %(layer)s », que le modèle n'a pas : il a été fait pour un autre", layer=layer))
    if set(pair) != {"A", "B"} or pair["A"].ndim != 2 or pair["B"].ndim != 2:
        raise unusable(_("il est incomplet pour « %(layer)s »", layer=layer))
    rank, taken = pair["A"].shape
    given, same = pair["B"].shape
    if (taken, given) != sizes or same != rank:
        message = _(
            "« %(layer)s » y est de %(given)s × %(taken)s, et dans le modèle de %(out)s × %(in)s : "
            "il a été fait pour un autre",
            **{"layer": layer, "taken": taken, "given": given, "in": sizes[0], "out": sizes[1]},
        )
        raise unusable(message)
    if not 0 < rank <= MAX_RANK:
        raise unusable(_("son rang (%(rank)s) dépasse %(limit)s", rank=rank, limit=MAX_RANK))
    if not (torch.isfinite(pair["A"]).all() and torch.isfinite(pair["B"]).all()):
        raise unusable(_("ses poids pour « %(layer)s » ne sont pas des nombres", layer=layer))
    like = next((p for p in module.parameters() if p.is_floating_point()), None)
    place = next(iter([*module.parameters(), *module.buffers()]), pair["A"]).device
    dtype = torch.float32 if like is None or like.dtype == torch.float32 else like.dtype
    up = pair["B"].float() * _scale(layer, rank, config)
    return _Delta(pair["A"].to(place, dtype), up.to(place, dtype))


def _sizes(module: torch.nn.Module) -> tuple[int, int] | None:
    """Numbers in and out of a linear layer of any kind; None when it is none."""
    taken, given = getattr(module, "in_features", None), getattr(module, "out_features", None)
    if isinstance(taken, int) and isinstance(given, int):
        return taken, given
    if type(module).__name__ == "Conv1D":  # GPT-2's linear layer, stored the other way round
        weight = module.get_parameter("weight")
        return int(weight.shape[0]), int(weight.shape[1])
    return None


def _scale(layer: str, rank: int, config: dict[str, Any]) -> float:
    """lora_alpha / rank, or / √rank; a pattern may give a layer its own alpha, as in peft."""
    patterns = config.get("alpha_pattern") or {}
    own = next((value for name, value in patterns.items() if re.fullmatch(rf"(.*\.)?({name})", layer)), None)
    alpha = float(own if own is not None else config.get("lora_alpha") or 8)
    return alpha / rank**0.5 if config.get("use_rslora") else alpha / rank
