"""What the process may use: cgroup v1 and v2, nested, without a limit, the page cache, quotas, and GPUs."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from common.machine import gpus
from common.machine.gpus import read_gpus
from common.machine.resources import read_resources, usable_cpus

MIB = 2**20
GIB = 2**30
MEMINFO = "MemTotal:       33554432 kB\nMemFree:         1048576 kB\nMemAvailable:   25165824 kB\nCached: 1 kB\n"
UNLIMITED_V1 = "9223372036854771712\n"


@pytest.fixture(autouse=True)
def _sixty_four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(64)))
    monkeypatch.setattr(gpus, "_memory", gpus._Memory())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def machine(root: Path, files: dict[str, str], cgroup: str = "0::/\n", meminfo: str = MEMINFO) -> Path:
    """A machine with 32 GiB, 24 GiB free, and these files below /sys/fs/cgroup."""
    put(root / "proc/meminfo", meminfo)
    put(root / "proc/self/cgroup", cgroup)
    for name, text in files.items():
        put(root / "sys/fs/cgroup" / name, text)
    return root


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")


def v2(limit: str, current: int, inactive_file: int = 0) -> dict[str, str]:
    stat = f"anon {current}\nfile {inactive_file}\ninactive_file {inactive_file}\nactive_file 0\n"
    return {"memory.max": limit, "memory.current": f"{current}\n", "memory.stat": stat}


def v1(limit: str, usage: int, inactive_file: int = 0, hierarchical: str = UNLIMITED_V1) -> dict[str, str]:
    # "inactive_file" is this group's alone, "total_inactive_file" its children's too.
    stat = f"cache 0\ninactive_file 0\nhierarchical_memory_limit {hierarchical}\ntotal_inactive_file {inactive_file}\n"
    return {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": f"{usage}\n", "memory.stat": stat}


def below(folder: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}": text for name, text in files.items()}


def free_mib(root: Path) -> float:
    return read_resources(root, use_gpu=False).memory_available / MIB


def test_without_a_cgroup_it_is_what_the_machine_has(tmp_path: Path) -> None:
    found = read_resources(machine(tmp_path, {}), use_gpu=False)
    assert (found.memory_limit, found.memory_available) == (32 * GIB, 24 * GIB)
    assert (found.cpus, found.gpus) == (64, ())


@pytest.mark.parametrize("limit", ["max\n", "9223372036854771712\n"])
def test_no_limit_is_the_machines(tmp_path: Path, limit: str) -> None:
    machine(tmp_path, v2(limit, 3 * GIB))
    assert free_mib(tmp_path) == 24 * 1024


def test_a_container_with_version_2_and_its_own_root(tmp_path: Path) -> None:
    machine(tmp_path, v2(f"{512 * MIB}\n", 200 * MIB))
    found = read_resources(tmp_path, use_gpu=False)
    assert (found.memory_limit, found.memory_available) == (512 * MIB, 312 * MIB)


def test_the_page_cache_counts_as_free(tmp_path: Path) -> None:
    """A model that was just downloaded fills memory.current with pages that the kernel drops when asked."""
    machine(tmp_path, v2(f"{512 * MIB}\n", 510 * MIB, inactive_file=400 * MIB))
    assert free_mib(tmp_path) == 402
    machine(tmp_path, below("memory", v1(f"{512 * MIB}\n", 500 * MIB, inactive_file=450 * MIB)))
    assert free_mib(tmp_path) == 402


def test_a_container_that_sees_the_hosts_path_of_its_group(tmp_path: Path) -> None:
    """Docker without a cgroup namespace: the path of /proc/self/cgroup is not below its mount."""
    machine(tmp_path, v2(f"{GIB}\n", 256 * MIB), cgroup="0::/system.slice/docker-0123456789ab.scope\n")
    assert free_mib(tmp_path) == 768


def test_every_parent_limits(tmp_path: Path) -> None:
    """A pod may hold more than its node slice has left: the tightest of the chain is what there is."""
    files = {
        **below("kubepods/pod1/app", v2("max\n", 100 * MIB)),
        **below("kubepods/pod1", v2(f"{4 * GIB}\n", 1 * GIB)),
        **below("kubepods", v2(f"{8 * GIB}\n", 7 * GIB, inactive_file=512 * MIB)),
    }
    machine(tmp_path, files, cgroup="0::/kubepods/pod1/app\n")
    found = read_resources(tmp_path, use_gpu=False)
    assert (found.memory_limit, found.memory_available) == (4 * GIB, GIB + 512 * MIB)


def test_a_soft_limit_counts(tmp_path: Path) -> None:
    machine(tmp_path, {**v2("max\n", 100 * MIB), "memory.high": f"{300 * MIB}\n"})
    assert free_mib(tmp_path) == 200


def test_version_1_nested_and_without_limit(tmp_path: Path) -> None:
    cgroup = "4:memory:/slice/job\n2:cpuacct,cpu:/slice/job\n0::/\n"
    files = {
        **below("memory", v1(UNLIMITED_V1, 20 * GIB)),
        **below("memory/slice", v1(f"{6 * GIB}\n", 2 * GIB)),
        **below("memory/slice/job", v1(UNLIMITED_V1, 1 * GIB)),
    }
    machine(tmp_path, files, cgroup)
    found = read_resources(tmp_path, use_gpu=False)
    assert (found.memory_limit, found.memory_available) == (6 * GIB, 4 * GIB)


def test_version_1_in_a_container_with_a_parents_limit_it_cannot_see(tmp_path: Path) -> None:
    machine(
        tmp_path, below("memory", v1(UNLIMITED_V1, 100 * MIB, hierarchical=str(GIB))), "4:memory:/docker/0123456789ab\n"
    )
    assert free_mib(tmp_path) == 924


def test_memory_over_the_limit_is_none_left(tmp_path: Path) -> None:
    machine(tmp_path, v2(f"{512 * MIB}\n", 600 * MIB))
    assert free_mib(tmp_path) == 0


def test_a_path_out_of_the_namespace_is_left_alone(tmp_path: Path) -> None:
    machine(tmp_path / "inside", v2(f"{GIB}\n", 0), cgroup="0::/../../outside\n")
    put(tmp_path / "inside/sys/outside/memory.max", "1\n")
    put(tmp_path / "inside/sys/outside/memory.current", "0\n")
    assert free_mib(tmp_path / "inside") == 1024


@pytest.mark.parametrize("meminfo", ["", "MemTotal: many kB\n", "nonsense"])
def test_an_unreadable_meminfo_falls_back_to_psutil(tmp_path: Path, meminfo: str) -> None:
    machine(tmp_path, v2(f"{64 * MIB}\n", 0), meminfo=meminfo)
    found = read_resources(tmp_path, use_gpu=False)
    assert (found.memory_limit, found.memory_available) == (64 * MIB, 64 * MIB)


def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_resources(use_gpu=False)
    total = psutil.virtual_memory().total
    assert 0 < found.memory_available < found.memory_limit <= total
    assert 0 < found.cpus <= 64  # what the fixture says, unless this machine has a quota
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0})
    assert usable_cpus() == 1


@pytest.mark.parametrize(
    ("files", "cgroup", "cpus", "threads"),
    [
        ({"cpu.max": "100000 100000"}, "0::/\n", 1, 1),
        ({"cpu.max": "50000 100000"}, "0::/\n", 0.5, 1),
        ({"cpu.max": "250000 100000"}, "0::/\n", 2.5, 2),
        ({"cpu.max": "max 100000"}, "0::/\n", 64, 64),
        ({"a/b/cpu.max": "400000 100000", "a/cpu.max": "300000 100000"}, "0::/a/b\n", 3, 3),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, "0::/\n", 3, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "0::/\n", 64, 64),
        (
            {"cpu,cpuacct/j/cpu.cfs_quota_us": "150000", "cpu,cpuacct/j/cpu.cfs_period_us": "100000"},
            "3:cpu,cpuacct:/j\n",
            1.5,
            1,
        ),
        ({"cpu.max": "garbage"}, "nonsense\n", 64, 64),
        ({}, "0::/\n", 64, 64),
    ],
)
def test_threads_follow_the_containers_quota(
    tmp_path: Path, files: dict[str, str], cgroup: str, cpus: float, threads: int
) -> None:
    machine(tmp_path, files, cgroup)
    assert read_resources(tmp_path, use_gpu=False).cpus == cpus
    assert usable_cpus(tmp_path) == threads


THREE = """\
0, GPU-aaaa1111, NVIDIA H200, 143771, 143000
1, GPU-bbbb2222, NVIDIA H200, 143771, 71000
2, GPU-cccc3333, NVIDIA A10, PCIe, 23028, 22500
"""


def nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program of that name on the path; it counts its calls in `calls`."""
    program = folder / "bin" / "nvidia-smi"
    put(program, f'#!/bin/sh\necho "$@" >> "{folder / "calls"}"\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def says(text: str) -> str:
    return f"cat <<'END'\n{text}END"


def test_gpus_with_their_free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, monkeypatch, says(THREE))
    found = read_gpus()
    assert [(gpu.index, gpu.uuid) for gpu in found] == [(0, "GPU-aaaa1111"), (1, "GPU-bbbb2222"), (2, "GPU-cccc3333")]
    assert (found[1].total_bytes, found[1].free_bytes) == (143771 * MIB, 71000 * MIB)
    assert [gpu.name for gpu in found[1:]] == ["NVIDIA H200", "NVIDIA A10, PCIe"]
    asked = (tmp_path / "calls").read_text(encoding="ascii")
    assert f"--query-gpu={gpus.QUERY}" in asked
    assert read_resources(machine(tmp_path, {})).gpus == found
    assert (tmp_path / "calls").read_text(encoding="ascii") == asked  # asked once a moment, not once a model


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        ("1", ["GPU-bbbb2222"]),
        ("2,0", ["GPU-cccc3333", "GPU-aaaa1111"]),
        ("GPU-bbbb2222", ["GPU-bbbb2222"]),
        ("GPU-cc, GPU-aa", ["GPU-cccc3333", "GPU-aaaa1111"]),
        ("1,7,0", ["GPU-bbbb2222"]),  # CUDA stops at the first that is nothing
        ("0,0", ["GPU-aaaa1111"]),
        ("GPU-", []),  # more than one begins so
        ("", []),
        ("-1", []),
        ("none", []),
    ],
)
def test_cuda_visible_devices_is_honoured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, uuids: list[str]
) -> None:
    nvidia_smi(tmp_path, monkeypatch, says(THREE))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = read_gpus()
    assert [gpu.uuid for gpu in found] == uuids
    assert [gpu.index for gpu in found] == list(range(len(uuids)))


def test_device_ids_choose_among_the_visible_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, monkeypatch, says(THREE))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,1")
    found = read_resources(machine(tmp_path, {}), gpu_device_ids=(1,)).gpus
    assert [(gpu.index, gpu.uuid) for gpu in found] == [(1, "GPU-bbbb2222")]
    assert read_resources(tmp_path, use_gpu=False).gpus == ()


@pytest.mark.parametrize(
    "script",
    [
        "echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'; exit 9",
        says("0, GPU-aaaa1111, NVIDIA GB10, [N/A], [N/A]\n"),  # shares the machine's memory and does not say how much
        says("No devices were found\n"),
        "exit 0",
    ],
)
def test_a_driver_that_is_not_well_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    nvidia_smi(tmp_path, monkeypatch, script)
    assert read_gpus() == ()


def test_a_driver_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, monkeypatch, "exec sleep 60")
    monkeypatch.setattr(gpus, "_SECONDS", 0.2)
    assert read_gpus() == ()


def test_no_driver_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_gpus() == ()


@pytest.mark.parametrize(("mapped", "free"), [(0, 412), (30, 382), (500, 112)])
def test_pages_read_twice_are_free_too_unless_a_process_has_them_mapped(tmp_path: Path, mapped: int, free: int) -> None:
    for names, group in (
        (("inactive_file", "active_file", "file_mapped"), v2(f"{512 * MIB}\n", 500 * MIB)),
        (
            ("total_inactive_file", "total_active_file", "total_mapped_file"),
            below("memory", v1(f"{512 * MIB}\n", 500 * MIB)),
        ),
    ):
        lines = [f"{name} {size * MIB}" for name, size in zip(names, (100, 300, mapped), strict=True)]
        root = tmp_path / names[0]
        machine(root, {**group, **{p: "\n".join(lines) + "\n" for p in group if p.endswith("memory.stat")}})
        assert read_resources(root, use_gpu=False).memory_available == free * MIB
