"""How much memory a speech model takes in its own process, told before it is loaded.

    need = weights at the loading precision + what a batch takes + the process with torch and transformers

Measured as resident memory at its highest, of random weights of the real sizes in bfloat16, after batches of 80 s of
sound: Parakeet TDT 0.6B 1,860 MiB (1,996 told here), Canary 1B v2 2,449 MiB (2,635 told).
"""

from __future__ import annotations

from common.machine.cpu import has_fast_bf16

MIB = 2**20
SMALL_PARAMETERS = 30_000_000  # below, float32 costs little memory and spares conversions
ACTIVATION_BYTES = 8 * MIB  # of one second of sound: the first convolutions', in float32, whatever the size
_RUNTIME_BYTES = 480 * MIB  # torch, transformers and the tokenizer in a process that has answered
_BATCH_SECONDS = 80
_GPU_RUNTIME_BYTES = 1024 * MIB  # an allowance: CUDA's context and its libraries' workspaces
HOST_OF_A_GPU_BYTES = 2048 * MIB  # an allowance: the libraries of CUDA in the process, pinned buffers
_GPU_BATCH_SECONDS = 80  # batches grow only into memory that is free


def weight_bytes(parameters: int) -> int:
    """Bytes per weight that a model of this size is loaded with on a CPU: 2 (bfloat16) or 4 (float32)."""
    return 4 if parameters <= SMALL_PARAMETERS or not has_fast_bf16() else 2


def need(parameters: int, *, cuda: bool) -> int:
    """Bytes, of the GPU's memory with `cuda`, else the machine's."""
    if cuda:
        return parameters * 2 + _GPU_BATCH_SECONDS * ACTIVATION_BYTES + _GPU_RUNTIME_BYTES
    width = weight_bytes(parameters)
    return parameters * width + _BATCH_SECONDS * ACTIVATION_BYTES * width // 4 + _RUNTIME_BYTES
