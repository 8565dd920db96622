"""What this machine's CPU computes fast, and the precision that follows."""

from __future__ import annotations

from common.machine.cpu import has_fast_bf16

# Below, float32 costs little memory and spares conversions, and a second thread costs more than it computes.
SMALL_PARAMETERS = 30_000_000


def weight_bytes(parameters: int) -> int:
    """Bytes per weight that a model of this size is loaded with on a CPU: 2 (bfloat16) or 4 (float32)."""
    return 4 if parameters <= SMALL_PARAMETERS or not has_fast_bf16() else 2
