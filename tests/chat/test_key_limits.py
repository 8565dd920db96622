"""Requests per minute, counted together: by the processes of a host, or through a real Redis."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chat.keys.limits import LocalLimits, RedisLimits
from tests.app.processes import ROOT


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("redis-server is not installed on this machine")
    place = tmp_path_factory.mktemp("redis") / "s"
    options = ["--port", "0", "--unixsocket", str(place), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, cwd=place.parent)
    try:
        deadline = time.monotonic() + 20
        while not place.exists():
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.02)
        yield f"unix://{place}"
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalLimits]:
    limits = LocalLimits(tmp_path / "limits.db")
    yield limits
    limits.close()


def test_a_window_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits, now = LocalLimits(tmp_path / "limits.db"), time.time()
    monkeypatch.setattr("chat.keys.limits.time.time", lambda: now)
    assert [limits.take("a").used for _ in range(3)] == [1, 2, 3]
    assert limits.take("b").used == 1
    assert limits.take("a").seconds_left == pytest.approx(60)
    now += 59.9
    assert limits.take("a").used == 5
    now += 0.1
    assert limits.take("a").used == 1
    now -= 3600  # the clock is set back
    assert limits.take("a").used == 1


_PROGRAM = """
import pathlib, sys
from chat.keys.limits import LocalLimits, RedisLimits
local = LocalLimits(pathlib.Path(sys.argv[1]))
limits = RedisLimits(sys.argv[2], local) if sys.argv[2] else local
print(max(limits.take("key").used for _ in range(200)))
"""


def together(tmp_path: Path, url: str) -> int:
    """The largest count that three processes of 200 requests saw."""
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path / "limits.db"), url]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    return max(int(process.communicate(timeout=60)[0]) for process in started)


def test_processes_of_a_host_count_together(tmp_path: Path) -> None:
    assert together(tmp_path, "") == 600


def test_hosts_count_together_in_redis(tmp_path: Path, redis_url: str) -> None:
    assert together(tmp_path, redis_url) == 600


def test_a_window_ends_in_redis_too(redis_url: str, local: LocalLimits, wait: Callable[..., None]) -> None:
    limits = RedisLimits(redis_url, local, window_seconds=0.3)
    first = limits.take("short")
    assert (first.used, first.seconds_left) == (1, pytest.approx(0.3, abs=0.01))
    wait(lambda: limits.take("short").used == 1)
    limits.close()


def test_without_redis_a_host_counts_alone(
    local: LocalLimits, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = RedisLimits(f"unix://{tmp_path}/nobody", local)
    assert [limits.take("a").used for _ in range(2)] == [1, 2]
    assert local.take("a").used == 3
    assert "Redis" in caplog.text


@pytest.fixture
def wait() -> Callable[..., None]:
    def until(true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    return until
