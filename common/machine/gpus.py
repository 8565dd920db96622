"""The NVIDIA GPUs this process may use and their free memory, without importing torch: asked of nvidia-smi.

The driver brings nvidia-smi along, also into containers, so there is nothing to install; a driver that hangs is
left behind after a few seconds instead of hanging the service.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass

QUERY = "index,uuid,name,memory.total,memory.free"
_SECONDS = 8.0  # eight GPUs without persistence mode take several seconds to wake
_REMEMBERED_SECONDS = 2.0  # one page shows twenty models, each asks whether it fits
_MIB = 2**20
_WSL = "/usr/lib/wsl/lib"
_log = logging.getLogger("frigo.models")


@dataclass(frozen=True)
class Gpu:
    """A GPU that may be used. `index` is its position among the visible ones (``cuda:index``), memory is in bytes.

    `uuid` is what names it in a child's CUDA_VISIBLE_DEVICES whatever the order.
    """

    index: int
    name: str
    total_bytes: int
    free_bytes: int
    uuid: str = ""


class _Memory:
    """nvidia-smi's last answer, for a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = ""
        self._at = 0.0
        self._lines: tuple[str, ...] = ()

    def lines(self, program: str) -> tuple[str, ...]:
        with self._lock:
            if self._asked != program or time.monotonic() - self._at > _REMEMBERED_SECONDS:
                self._lines = _ask(program)
                self._asked, self._at = program, time.monotonic()
            return self._lines


_memory = _Memory()


def read_gpus() -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, in its order; none without a driver."""
    program = shutil.which("nvidia-smi") or shutil.which("nvidia-smi", path=_WSL)
    if program is None:
        return ()
    devices = [gpu for line in _memory.lines(program) if (gpu := _parse(line)) is not None]
    return _visible(devices, os.environ.get("CUDA_VISIBLE_DEVICES"))


def _ask(program: str) -> tuple[str, ...]:
    command = [program, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        _log.warning("nvidia-smi did not answer", extra={"reason": type(error).__name__})
        return ()
    if done.returncode != 0:
        said = (done.stdout or done.stderr).strip().splitlines()
        _log.warning("nvidia-smi failed", extra={"reason": said[0] if said else str(done.returncode)})
        return ()
    return tuple(done.stdout.splitlines())


def _parse(line: str) -> Gpu | None:
    """One line of the answer; None for a device that does not say its memory ("[N/A]")."""
    parts = [part.strip() for part in line.split(",")]
    try:
        index, uuid, *name, total, free = parts
        return Gpu(int(index), ", ".join(name), int(total) * _MIB, int(free) * _MIB, uuid)
    except ValueError:
        return None


def _visible(devices: list[Gpu], wanted: str | None) -> tuple[Gpu, ...]:
    """What CUDA makes of CUDA_VISIBLE_DEVICES: indices or UUID beginnings, up to the first that is nothing."""
    if wanted is None:
        chosen = devices
    else:
        chosen = []
        for name in (part.strip() for part in wanted.split(",")):
            found = [gpu for gpu in devices if name == str(gpu.index) or (name and gpu.uuid.startswith(name))]
            if len(found) != 1 or found[0] in chosen:
                break
            chosen.append(found[0])
    return tuple(
        Gpu(position, gpu.name, gpu.total_bytes, gpu.free_bytes, gpu.uuid) for position, gpu in enumerate(chosen)
    )
