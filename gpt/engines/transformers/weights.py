"""Opens a Hugging Face folder: safetensors only, no remote code, nothing fetched."""

from __future__ import annotations

import ctypes
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch starts OpenMP: two engines on the same cores

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer
from transformers.models.auto import modeling_auto

from common.errors import ApiError
from common.machine.resources import usable_cpus
from common.messages import _
from gpt.engines.base import SamplingDefaults
from gpt.engines.cpu import SMALL_PARAMETERS, weight_bytes
from gpt.engines.options import EngineOptions
from gpt.engines.transformers import quantize
from gpt.folders import describe

_M_MMAP_THRESHOLD = -3  # glibc's malloc.h
transformers.utils.logging.disable_progress_bar()
_log = logging.getLogger("frigo.gpt")


@dataclass(frozen=True)
class Weights:
    """A model in memory with what goes with it."""

    model: Any
    tokenizer: Any
    device: torch.device
    eos_ids: frozenset[int]
    context: int
    parameters: int
    vocabulary: int  # numbers in one step's output, at least the tokenizer's
    defaults: SamplingDefaults
    threads: int  # CPU threads that are worth using for one step
    quantization: quantize.Resolved  # how the weights really are in memory


def load_weights(folder: Path, options: EngineOptions) -> Weights:
    """Load `folder`, a tensor at a time, straight to where and as it will be used.

    Raises 422 with the reason when it holds nothing that can be loaded safely.
    """
    if not any(folder.glob("*.safetensors")):
        raise ApiError(
            422, "no_safetensors", _("Ce modèle n'a pas de poids au format safetensors, seul format accepté.")
        )
    threads = options.threads or usable_cpus()
    torch.set_num_threads(threads)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    device = torch.device("cuda" if options.use_gpu and torch.cuda.is_available() else "cpu")
    dtype = _dtype(folder, device)
    facts = describe(folder)
    stored = facts.parameters if facts else 0
    shrunk = quantize.resolve(options.quantization, config, stored, dtype.itemsize, device)
    ours = quantize.ours(shrunk, config, device)
    safely: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **safely)
        with _lean_heap():
            model, loading = _kind(config).from_pretrained(
                folder,
                dtype="auto" if ours else dtype,  # as it is stored: then weights are mapped, not copied
                device_map={"": device},
                use_safetensors=True,
                output_loading_info=True,
                **({} if ours else quantize.loading_options(shrunk, config, dtype)),
                **safely,
            )
            if ours:
                quantize.shrink(model, dtype)
    except (ValueError, KeyError, OSError, ImportError, RuntimeError, SafetensorError) as error:
        family = config.get("model_type", "?")
        message = _(
            "Ce modèle (%(family)s) n'a pas pu être chargé : %(reason)s", family=family, reason=_reason(error, folder)
        )
        raise ApiError(422, "model_unusable", message) from error
    if missing := sorted(loading["missing_keys"]):  # transformers would fill them with noise and only warn
        message = _("Ce modèle est incomplet : il manque %(names)s.", names=", ".join(missing[:3]))
        raise ApiError(422, "model_unusable", message)
    model.eval()
    parameters = stored or sum(p.numel() for p in model.parameters())
    _log.info(
        "weights loaded",
        extra={"folder": folder.name, "quantization": shrunk, "weight_bytes": quantize.weight_bytes(model)},
    )
    return Weights(
        model=model,
        tokenizer=tokenizer,
        device=device,
        eos_ids=_eos_ids(model, tokenizer),
        context=_context(model.config, tokenizer),
        parameters=parameters,
        vocabulary=int(model.config.get_text_config().vocab_size),
        defaults=_defaults(folder),
        threads=1 if parameters < SMALL_PARAMETERS else threads,
        quantization=shrunk,
    )


@contextmanager
def _lean_heap() -> Iterator[None]:
    """Let glibc give every big block back as soon as it is freed: tensors are converted one at a time, and what they
    leave in the heap would else be as much again as the model. Elsewhere nothing changes."""
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 256 * 1024)
    except (OSError, AttributeError):
        yield
        return
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # what glibc comes to by itself; mapping anew at each step is slow
        libc.malloc_trim(0)


def _kind(config: dict[str, Any]) -> Any:
    """The transformers class that opens the model; one that also sees is opened as such and used for its text."""
    family = config.get("model_type")
    reads = family in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    sees = family in modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    return AutoModelForImageTextToText if sees and not reads else AutoModelForCausalLM


def _dtype(folder: Path, device: torch.device) -> torch.dtype:
    """The loading precision: 16 bits on a GPU; on a CPU what `weight_bytes` says, as the memory estimate does."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    facts = describe(folder)
    return torch.float32 if weight_bytes(facts.parameters if facts else 0) == 4 else torch.bfloat16


def _eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every id that ends an answer, from the generation config, the model's and the tokenizer's."""
    found: set[int] = set()
    generation = getattr(model, "generation_config", None)
    for value in (
        getattr(generation, "eos_token_id", None),
        getattr(model.config, "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        if isinstance(value, int):
            found.add(value)
        elif isinstance(value, list):
            found.update(value)
    return frozenset(found)


def _defaults(folder: Path) -> SamplingDefaults:
    """The sampling its authors recommend, from generation_config.json; plain sampling when they say nothing."""
    try:
        said = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
        if said.get("do_sample") is False:
            return SamplingDefaults(temperature=0.0)
        return SamplingDefaults(
            temperature=min(2.0, max(0.0, float(said.get("temperature") or 1.0))),
            top_p=min(1.0, float(said.get("top_p") or 1.0)),
            top_k=int(said.get("top_k") or 0),
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return SamplingDefaults()


def _context(config: Any, tokenizer: Any) -> int:
    """Tokens the model can hold: the smaller of what the config and the tokenizer say."""
    text_config = config.get_text_config()
    limits = [
        getattr(text_config, "max_position_embeddings", None),
        getattr(text_config, "n_positions", None),
        getattr(tokenizer, "model_max_length", None),
    ]
    known = [limit for limit in limits if isinstance(limit, int) and 0 < limit < 10**8]
    return min(known) if known else 2048


def _reason(error: Exception, folder: Path) -> str:
    """The error's first line, without this machine's paths."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text.replace(str(folder), folder.name)[:300]
