"""The variables that a model's process starts with: its libraries read them before any code of ours."""

from __future__ import annotations

import os
from collections.abc import Sequence

from common.errors import ApiError
from common.machine.resources import usable_cpus
from common.messages import _
from common.onnx import TELEMETRY_OFF


def model_variables(*, use_gpu: bool, gpu_device_ids: Sequence[int] = (), threads: int = 0) -> dict[str, str]:
    """The environment of a process that computes with torch. `threads`: 0 means as many as the container may use;
    `gpu_device_ids` are positions among the GPUs that this process sees, none meaning all.

    Raises `ApiError` 422 `gpu_missing`.
    """
    count = str(threads or usable_cpus())
    env = {
        **TELEMETRY_OFF,
        "OMP_WAIT_POLICY": "passive",  # else two models on the same cores spin against each other
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "false",
        "MALLOC_ARENA_MAX": "2",  # an arena per thread keeps what each once needed
    }
    if not use_gpu:
        env["CUDA_VISIBLE_DEVICES"] = ""
    elif gpu_device_ids:
        env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # as nvidia-smi numbers them
        env["CUDA_VISIBLE_DEVICES"] = visible_devices(gpu_device_ids, os.environ.get("CUDA_VISIBLE_DEVICES"))
    return env


def visible_devices(positions: Sequence[int], seen: str | None) -> str:
    """A child's CUDA_VISIBLE_DEVICES: the GPUs at `positions` among those that this process sees (`seen`: its own).

    Raises `ApiError` 422 `gpu_missing`.
    """
    if not seen:
        return ",".join(map(str, positions))
    names = [name.strip() for name in seen.split(",")]
    if max(positions) >= len(names):
        message = _("GPU_DEVICE_IDS nomme un GPU qui n'est pas là (%(count)s visibles).", count=len(names))
        raise ApiError(422, "gpu_missing", message, "gpu_device_ids")
    return ",".join(names[position] for position in positions)
