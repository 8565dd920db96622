"""How many CPU cores this process may really use, and what they can compute."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

_SMALL_PARAMETERS = 100_000_000  # below, float32 costs little memory and spares conversions


def usable_cpus(root: Path = Path("/")) -> int:
    """Whole cores allowed by affinity and by the cgroup's quota (v2, then v1), at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    quota = _quota_v2(root / "sys/fs/cgroup/cpu.max") or _quota_v1(root / "sys/fs/cgroup/cpu")
    return max(1, min(cores, int(quota) if quota else cores))


def weight_bytes(parameters: int) -> int:
    """Bytes per weight that a model of this size is loaded with on a CPU: 2 (bfloat16) or 4 (float32)."""
    return 4 if parameters <= _SMALL_PARAMETERS or not has_fast_bf16() else 2


@lru_cache(maxsize=1)
def has_fast_bf16() -> bool:
    """True when the CPU multiplies bfloat16 in hardware; elsewhere float32 is faster."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _quota_v2(path: Path) -> float | None:
    try:
        quota, period = path.read_text(encoding="ascii").split()[:2]
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period = int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None
