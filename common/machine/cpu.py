"""What this machine's CPU computes fast."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def has_fast_bf16() -> bool:
    """True when the CPU multiplies bfloat16 in hardware; elsewhere float32 is faster."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
