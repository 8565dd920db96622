"""How vLLM is started: its arguments and variables, from the options that every engine gets. No shell is involved."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ApiError
from common.machine.resources import Resources
from common.messages import _
from common.process.variables import visible_devices
from gpt.engines.cpu import weight_bytes
from gpt.engines.options import EngineOptions
from gpt.engines.template import find_template
from gpt.folders import describe
from gpt.tools.styles import Style, dialect_of

PLAIN_TEMPLATE = Path(__file__).with_name("plain.jinja")
MODULE = "vllm.entrypoints.openai.api_server"
GPU_SHARE = 0.92  # of a GPU's memory at most: vLLM's own default
GPU_MARGIN_BYTES = 512 * 2**20  # of what is free: CUDA's context grows a little while it serves
CPU_CACHE_BYTES = 8 * 2**30  # at most
CPU_CONVERSATIONS = 32  # full ones that the cache holds, where memory allows: it is taken whole at start
CPU_RUNTIME_BYTES = 3 * 2**30  # its three processes with torch, weights apart (measured: 2.8 GB)
MIN_CACHE_BYTES = 64 * 2**20
_CALLS: dict[Style, str] = {"hermes": "hermes", "mistral": "mistral", "args": "mistral", "llama": "llama3_json"}
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the ones vLLM has kernels for
MAX_HOT_ADAPTERS = 8


@dataclass(frozen=True)
class VllmOptions:
    """What only vLLM needs: its interpreter, the Ray cluster it spreads over, and arguments of `extra.FLAGS`."""

    python: str
    ray_address: str = ""
    extra_args: tuple[str, ...] = ()


def arguments(
    folder: Path,
    name: str,
    port: int,
    options: EngineOptions,
    vllm: VllmOptions,
    resources: Resources,
    *,
    cuda: bool,
) -> list[str]:
    """The command that serves `folder` as `name` on loopback. Raises `ApiError` on an option that vLLM lacks."""
    config = _read(folder / "config.json")
    command = [
        vllm.python,
        "-u",
        "-m",
        MODULE,
        "--host=127.0.0.1",
        f"--port={port}",
        f"--model={folder}",
        f"--served-model-name={name}",
        f"--max-model-len={options.context or 'auto'}",
        "--disable-uvicorn-access-log",
        *([f"--chat-template={PLAIN_TEMPLATE}"] if lacks_template(folder) else []),
        *_precision(config, folder, options, cuda=cuda),
        *_parsers(config, folder, vllm.extra_args),
    ]
    if cuda:
        command += [f"--tensor-parallel-size={_parallel(config, options, resources)}"]
        command += [f"--gpu-memory-utilization={_gpu_share(resources)}"] if resources.gpus else []
        command += [f"--kv-cache-memory-bytes={options.cache_bytes}"] if options.cache_bytes else []
    else:
        command += [f"--kv-cache-memory-bytes={options.cache_bytes or _cpu_cache(folder, options, resources)}"]
    if vllm.ray_address:
        command += ["--distributed-executor-backend=ray"]
    if options.adapters:
        command += [
            "--enable-lora",
            f"--max-loras={len(options.adapters)}",
            f"--max-cpu-loras={len(options.adapters) + MAX_HOT_ADAPTERS}",
            f"--max-lora-rank={_lora_rank([path for _key, path in options.adapters])}",
            "--lora-modules",
            *(json.dumps({"name": key, "path": str(path)}) for key, path in options.adapters),
        ]
    return [*command, *vllm.extra_args]


def variables(
    key: str, options: EngineOptions, vllm: VllmOptions, given: Mapping[str, str], *, cuda: bool
) -> dict[str, str]:
    """The server's own variables. Its API key is here, since arguments can be read by every user of the machine."""
    found = {
        "VLLM_API_KEY": key,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "OMP_WAIT_POLICY": "passive",  # two pools of threads on the same cores spin against each other
        "TOKENIZERS_PARALLELISM": "false",
    }
    if options.adapters:
        found["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
    if vllm.ray_address:
        found["RAY_ADDRESS"] = vllm.ray_address
    if cuda and options.gpu_device_ids:
        found["CUDA_VISIBLE_DEVICES"] = visible_devices(options.gpu_device_ids, given.get("CUDA_VISIBLE_DEVICES"))
    if not cuda:
        if options.threads:
            cores = sorted(os.sched_getaffinity(0))[: options.threads]
            found["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, cores))
        library = Path(vllm.python).absolute().parents[1] / "lib" / "libiomp5.so"
        if "LD_PRELOAD" not in given and library.is_file():
            found["LD_PRELOAD"] = str(library)  # as vLLM's documentation asks for on x86
    return found


def lacks_template(folder: Path) -> bool:
    """True for a base model, whose chat is the plain one of `gpt.prompts`: vLLM alone would refuse to chat."""
    return find_template(folder, _read(folder / "tokenizer_config.json")) is None


def adapter_rank(folder: Path) -> int:
    """The rank in an adapter's adapter_config.json. Raises 422 `adapter_unusable`."""
    try:
        rank = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["r"]
    except (OSError, ValueError, KeyError, TypeError):
        rank = None
    if not isinstance(rank, int) or not 0 < rank <= LORA_RANKS[-1]:
        message = _("L'adaptateur n'a pas d'adapter_config.json lisible, ou son rang dépasse %(limit)s.", limit=512)
        raise ApiError(422, "adapter_unusable", message, "model")
    return rank


def _precision(config: Mapping[str, Any], folder: Path, options: EngineOptions, *, cuda: bool) -> list[str]:
    """IA_QUANTIZATION in vLLM's words. On a CPU, small float32 weights stay as they are, as with the other engines:
    vLLM's own "auto" would halve them."""
    if options.quantization == "nf4" or (options.quantization == "int8" and not cuda):
        message = _(
            "vLLM ne sait pas quantifier ainsi (IA_QUANTIZATION=%(value)s) : choisissez none ou auto.",
            value=options.quantization,
        )
        raise ApiError(422, "unsupported_quantization", message, "quantization")
    found = ["--quantization=int8_per_channel_weight_only"] if options.quantization == "int8" else []
    facts = describe(folder)
    stored = config.get("dtype") or config.get("torch_dtype")
    small = facts is not None and weight_bytes(facts.parameters) == 4
    exact = not cuda and small and stored in {"float32", None}
    return [*found, "--dtype=float32" if exact else "--dtype=auto"]


def _parsers(config: Mapping[str, Any], folder: Path, said: Sequence[str]) -> list[str]:
    """Which of vLLM's parsers find the calls and the thoughts that the model's template is written for, unless the
    arguments `said` name one."""
    given = {word.partition("=")[0] for word in said}
    template = find_template(folder, _read(folder / "tokenizer_config.json"))
    dialect = dialect_of(template, {})
    found = []
    if dialect.native and "--tool-call-parser" not in given:
        found += [] if "--enable-auto-tool-choice" in given else ["--enable-auto-tool-choice"]
        found.append(f"--tool-call-parser={_CALLS[dialect.style]}")
    if dialect.thoughts == ("<think>", "</think>") and "--reasoning-parser" not in given:
        # deepseek_r1's takes an answer without marks for a thought: all of it, when thinking was switched off
        switched = "enable_thinking" in (template or "") or config.get("model_type") == "qwen3"
        found.append(f"--reasoning-parser={'qwen3' if switched else 'deepseek_r1'}")
    return found


def _parallel(config: Mapping[str, Any], options: EngineOptions, resources: Resources) -> int:
    """GPUs to spread over: those asked for, else as many of the visible ones as the heads can be shared among."""
    if options.gpu_device_ids:
        return len(options.gpu_device_ids)
    text = config.get("text_config")
    heads = (text if isinstance(text, dict) else config).get("num_attention_heads") or config.get("n_head") or 1
    return max(n for n in range(1, max(1, len(resources.gpus)) + 1) if n == 1 or int(heads) % n == 0)


def _gpu_share(resources: Resources) -> float:
    """The fraction of each GPU's memory that is free on all of them, with a margin."""
    share = min((gpu.free_bytes - GPU_MARGIN_BYTES) / gpu.total_bytes for gpu in resources.gpus)
    return max(0.05, min(GPU_SHARE, math.floor(share * 100) / 100))


def _cpu_cache(folder: Path, options: EngineOptions, resources: Resources) -> int:
    """A cache for `CPU_CONVERSATIONS`, in half of what remains once the weights are there: vLLM alone would take
    nearly all of the machine's memory."""
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    room = min(CPU_CACHE_BYTES, (resources.memory_available - CPU_RUNTIME_BYTES - weights) // 2)
    facts = describe(folder)
    if facts is not None and facts.kv_values_per_token:
        context = options.context or facts.context or 4096
        room = min(room, CPU_CONVERSATIONS * facts.kv_values_per_token * weight_bytes(facts.parameters) * context)
    return max(MIN_CACHE_BYTES, room)


def _lora_rank(folders: Sequence[Path]) -> int:
    wanted = max(adapter_rank(folder) for folder in folders)
    return next(rank for rank in LORA_RANKS if rank >= wanted)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
