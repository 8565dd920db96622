"""What this machine's CPU computes fast, and the precision that follows."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

# Below, float32 costs little memory and spares conversions, and a second thread costs more than it computes.
SMALL_PARAMETERS = 30_000_000


def weight_bytes(parameters: int) -> int:
    """Bytes per weight that a model of this size is loaded with on a CPU: 2 (bfloat16) or 4 (float32)."""
    return 4 if parameters <= SMALL_PARAMETERS or not has_fast_bf16() else 2


@lru_cache(maxsize=1)
def has_fast_bf16() -> bool:
    """True when the CPU multiplies bfloat16 in hardware; elsewhere float32 is faster."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
