"""The variables that a model's process starts with: its libraries read them before any code of ours."""

from __future__ import annotations

from collections.abc import Sequence

from common.machine.resources import usable_cpus


def model_variables(*, use_gpu: bool, gpu_device_ids: Sequence[int] = (), threads: int = 0) -> dict[str, str]:
    """The environment of a process that computes with torch. `threads`: 0 means as many as the container may use;
    `gpu_device_ids` are nvidia-smi's numbers, none meaning all."""
    count = str(threads or usable_cpus())
    env = {
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
        env["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, gpu_device_ids))
    return env
