"""The real stack: the processes of `make run`, on free ports and in a folder of their own."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

import pytest

from scripts.console import tail
from scripts.environment import PORTS, ROOT
from scripts.run import die_with_parent, is_ready
from scripts.stack import Process, prepare, processes, shared_variables
from tests.ports import free_ports

READY_SECONDS = 150.0
ADMIN_TOKEN = "jeton-des-tests"


class Stack:
    """The running processes. Each is the head of its own group, so that a kill takes its children along."""

    def __init__(self, folder: Path, **variables: str) -> None:
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self.app_url = self.urls["app"]
        self.data_dir = folder / "data"
        self.logs = folder / "logs"
        self.admin_token = ADMIN_TOKEN
        # Nothing of the person's own settings: the same answers on every machine.
        kept = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
        self.env = {name: value for name, value in os.environ.items() if name in kept}
        self.env |= {"DATA_DIR": str(self.data_dir), "ADMIN_TOKEN": ADMIN_TOKEN, "PORT": str(ports["app"])}
        self.env |= {f"{name.upper()}_API_URL": url for name, url in self.urls.items() if name != "app"}
        self.env |= {"ENGINES_DIR": str(folder / "engines"), "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub")}
        self.env |= variables
        self._shared = shared_variables(self.env)
        self._known: dict[str, Process] = {process.name: process for process in processes(self.env)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        self.logs.mkdir(parents=True)
        prepare(self.env)
        for name in self._known:
            self._start(name)
        for name in self._known:
            self.wait_ready(name)

    def kill(self, name: str) -> None:
        """kill -9, children included."""
        self._signal(name, signal.SIGKILL)

    def stop(self, name: str) -> None:
        """End it as `make run` does on Ctrl-C."""
        self._signal(name, signal.SIGTERM)

    def restart(self, name: str) -> None:
        """End it if it runs, start it again, and wait until it is ready."""
        if name in self._running:
            self.stop(name)
        self._start(name)
        self.wait_ready(name)

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def log(self, name: str) -> str:
        """All that a process wrote."""
        return (self.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def wait_ready(self, name: str) -> None:
        url = self._known[name].url
        deadline = time.monotonic() + READY_SECONDS
        while True:
            if self._running[name].poll() is not None:
                pytest.fail(f"{name} exited with {self._running[name].returncode}:\n{tail(self.log(name), 40)}")
            if is_ready(url) if url else "worker ready" in self.log(name):
                return
            if time.monotonic() > deadline:
                pytest.fail(f"{name} was not ready in {READY_SECONDS:.0f} s:\n{tail(self.log(name), 40)}")
            time.sleep(0.2)

    def close(self) -> None:
        for process in self._running.values():
            _send(process, signal.SIGTERM)
        deadline = time.monotonic() + 9
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            _send(process, signal.SIGKILL)
            process.wait()
        self._running.clear()

    def _start(self, name: str) -> None:
        process = self._known[name]
        with self._log_file(name) as log:
            self._running[name] = subprocess.Popen(
                process.command,
                cwd=ROOT,
                env=self._shared | process.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def _log_file(self, name: str) -> IO[bytes]:
        return (self.logs / f"{name}.log").open("wb")

    def _signal(self, name: str, number: int) -> None:
        process = self._running.pop(name)
        _send(process, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        _send(process, signal.SIGKILL)
        process.wait()


def _send(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
