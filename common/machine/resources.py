"""What this process may still use: memory, CPU cores and GPUs, as the container allows and not as the machine has.

Read from the kernel's own files, below a `root` that tests can move. Sources: the kernel's documentation of cgroup v2
(admin-guide/cgroup-v2), of cgroup v1 (admin-guide/cgroup-v1/memory) and of /proc/meminfo.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import psutil

from common.machine.gpus import Gpu, read_gpus

_CGROUPS = "sys/fs/cgroup"
T = TypeVar("T")


@dataclass(frozen=True)
class Resources:
    """Bytes of memory in all and still free, CPU cores (a quota may leave a fraction), and the GPUs that may be used.

    `memory_available` counts the page cache that the kernel would drop as free: what no process has mapped. Only
    `inactive_file` would be too careful: a file read twice, as weights are, is active and no less easily dropped.
    """

    memory_limit: int
    memory_available: int
    cpus: float
    gpus: tuple[Gpu, ...] = ()


def read_resources(root: Path = Path("/"), *, use_gpu: bool = True, gpu_device_ids: tuple[int, ...] = ()) -> Resources:
    """What there is now. `gpu_device_ids` are positions among the visible GPUs; empty means all of them."""
    limit, available = _machine_memory(root)
    for most, used in (*_groups(root, "memory", _memory_v2), *_groups(root, "memory", _memory_v1)):
        limit = min(limit, most)
        available = min(available, most - used)
    gpus = read_gpus() if use_gpu else ()
    if gpu_device_ids:
        gpus = tuple(gpu for gpu in gpus if gpu.index in gpu_device_ids)
    return Resources(limit, max(0, available), _cpus(root), gpus)


def usable_cpus(root: Path = Path("/")) -> int:
    """Whole cores allowed by affinity and by the container's quota, at least 1: how many threads to start."""
    return max(1, int(_cpus(root)))


def _cpus(root: Path) -> float:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return min([float(cores), *_groups(root, "cpu", _quota_v2), *_groups(root, "cpu", _quota_v1)])


def _machine_memory(root: Path) -> tuple[int, int]:
    """Bytes of the machine, in all and free; where there is no /proc (macOS), what psutil says."""
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        kibibytes = {name: int(rest.split()[0]) for name, _colon, rest in (line.partition(":") for line in lines)}
        free = kibibytes.get("MemAvailable", kibibytes["MemFree"] + kibibytes.get("Cached", 0))  # before Linux 3.14
        return kibibytes["MemTotal"] * 1024, free * 1024
    except (OSError, ValueError, KeyError, IndexError):
        memory = psutil.virtual_memory()
        return int(memory.total), int(memory.available)


def _groups(root: Path, controller: str, read: Callable[[Path], T | None]) -> Iterator[T]:
    """What `read` finds in this process's cgroup and in each of its parents: every one of them limits it.

    A container sees its own group as the mount's root, and sometimes the host's path in /proc/self/cgroup, of which
    nothing exists below that root: folders that are not there are passed over.
    """
    seen = set()
    for group in _folders(root, controller):
        for folder in (group, *group.parents):
            if folder in seen or not folder.is_relative_to(root / _CGROUPS):
                continue
            seen.add(folder)
            found = read(folder)
            if found is not None:
                yield found


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """This process's folder in each hierarchy that could hold `controller`, and the hierarchies' roots."""
    mounts = root / _CGROUPS
    yield from (mounts, mounts / controller)
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _number, _colon, rest = line.partition(":")
        names, _colon, path = rest.partition(":")
        parts = PurePosixPath(path).parts[1:]
        if ".." in parts:  # outside what the namespace shows
            continue
        if not names:  # version 2, alone or beside version 1
            yield mounts.joinpath(*parts)
            yield mounts.joinpath("unified", *parts)
        elif controller in names.split(","):
            yield mounts.joinpath(names, *parts)
            yield mounts.joinpath(controller, *parts)


def _memory_v2(folder: Path) -> tuple[int, int] | None:
    """(limit, in use). `memory.high` counts as a limit: above it the kernel slows the process to a crawl."""
    limits = [limit for name in ("memory.max", "memory.high") if (limit := _number(folder / name)) is not None]
    used = _number(folder / "memory.current")
    if not limits or used is None:
        return None
    return min(limits), used - _droppable(folder, "inactive_file", "active_file", "file_mapped")


def _memory_v1(folder: Path) -> tuple[int, int] | None:
    """(limit, in use). "No limit" is a number near 2**63, which the machine's own memory brings down."""
    limit, used = _number(folder / "memory.limit_in_bytes"), _number(folder / "memory.usage_in_bytes")
    if limit is None or used is None:
        return None
    cache = _droppable(folder, "total_inactive_file", "total_active_file", "total_mapped_file")
    return min(limit, _stat(folder, "hierarchical_memory_limit") or limit), used - cache


def _droppable(folder: Path, inactive: str, active: str, mapped: str) -> int:
    """Bytes of file pages that can go at once: the inactive ones, or all but the mapped ones when that is more."""
    idle = _stat(folder, inactive)
    return max(idle, idle + _stat(folder, active) - _stat(folder, mapped))


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()[:2]
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _quota_v1(folder: Path) -> float | None:
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota is not None and quota > 0 and period else None


def _number(path: Path) -> int | None:
    """The number a file holds; None when there is no such file, or it says "max"."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _stat(folder: Path, name: str) -> int:
    """One line of memory.stat, in bytes; 0 when it is not there."""
    try:
        for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
            key, _space, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        pass
    return 0
