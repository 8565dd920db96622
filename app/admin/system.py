"""The machine's load: processor, memory, disk, NVIDIA cards."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil

_SMI_FIELDS = "name,memory.used,memory.total,utilization.gpu,temperature.gpu"
_SMI_SECONDS = 5

psutil.cpu_percent()  # the first call only begins to measure


def load(data_dir: Path) -> dict[str, Any]:
    """`memory` and `disk` in bytes; `disk` is the one that holds DATA_DIR."""
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(data_dir if data_dir.exists() else Path.cwd())
    return {
        "cpu_percent": psutil.cpu_percent(),
        "cpu_count": psutil.cpu_count(),
        "memory": {"used": memory.total - memory.available, "total": memory.total},
        "disk": {"used": disk.used, "total": disk.total},
        "gpus": gpus(),
    }


def gpus() -> list[dict[str, Any]]:
    """NVIDIA cards, memory in bytes; empty without a card or its driver."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, f"--query-gpu={_SMI_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        shown = subprocess.run(query, capture_output=True, text=True, timeout=_SMI_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [card for line in shown.splitlines() if (card := _card(line)) is not None]


def _card(line: str) -> dict[str, Any] | None:
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != len(_SMI_FIELDS.split(",")):
        return None
    name, used, total, busy, heat = parts
    return {
        "name": name,
        "memory_used": _bytes(used),
        "memory_total": _bytes(total),
        "utilization": _number(busy),
        "temperature": _number(heat),
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # « [N/A] »
        return None


def _bytes(mebibytes: str) -> int | None:
    value = _number(mebibytes)
    return None if value is None else int(value * 2**20)
