"""A server process under measure: started, waited for, weighed, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from bench.serving.cgroup import MemoryGroup
from scripts.environment import ROOT
from scripts.run import die_with_parent
from tests.e2e.stack import free_ports

READY_SECONDS = 900  # on a busy machine, the LiteLLM proxy takes minutes


def pss_mb(pid: int) -> float:
    """Proportional memory of a process and all its descendants, in MB."""
    total = 0
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return round(total / 2**20, 1)


class Server:
    """`command` may hold ``{port}``; it is ready once `ready` answers 200."""

    def __init__(
        self,
        command: Sequence[str],
        ready: str,
        env: Mapping[str, str] | None = None,
        group: MemoryGroup | None = None,
    ) -> None:
        def begin() -> None:
            die_with_parent()
            if group is not None:
                group.join()

        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = Path(tempfile.mkstemp(prefix="frigo-bench-", suffix=".log")[1])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [part.format(port=self.port) for part in command],
                cwd=ROOT,
                env={**os.environ, "OMP_WAIT_POLICY": "passive", **(env or {}), "PORT": str(self.port)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=begin,
            )
        started = time.monotonic()
        try:
            self._wait(self.url + ready)
        except BaseException:
            self.close()
            raise
        self.seconds = round(time.monotonic() - started, 1)

    def _wait(self, address: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.2)
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise SystemExit(f"{self.process.args} did not start:\n{tail}")

    def memory(self) -> float:
        return pss_mb(self.process.pid)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextlib.contextmanager
def service(name: str, group: MemoryGroup | None = None, **variables: str) -> Iterator[Server]:
    """One of Frigo's services alone, ready, on the CPU and without a hub; inside `group` when there is one."""
    with tempfile.TemporaryDirectory(prefix="frigo-bench-") as data:
        env = {"DATA_DIR": data, "HF_HUB_OFFLINE": "1", "IA_USE_GPU": "false", **variables}
        gunicorn = str(Path(sys.executable).with_name("gunicorn"))
        server = Server((gunicorn, "-c", "python:common.web.gunicorn_conf", f"{name}.wsgi:app"), "/ready", env, group)
        try:
            yield server
        finally:
            server.close()


@contextlib.contextmanager
def frigo(model: Path | str, group: MemoryGroup | None = None, **variables: str) -> Iterator[Server]:
    """Frigo's gpt alone on `model`, ready; inside `group` when there is one."""
    with service("gpt", group, IA_MODEL=str(model), **variables) as server:
        yield server
