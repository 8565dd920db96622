"""app and its worker as real processes, as `make run` starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import urllib3

ROOT = Path(__file__).resolve().parents[2]
_OURS = ("_URL", "_TOKEN", "_DIR", "MEETING_", "PORT", "MAX_UPLOAD")


def environment(**given: object) -> dict[str, str]:
    """The environment of a service: this one, without what would configure Frigo, and with `given`."""
    kept = {name: value for name, value in os.environ.items() if not any(part in name for part in _OURS)}
    return kept | {name.upper(): str(value) for name, value in given.items()}


class Process:
    """A process of Frigo, and what it writes in `log`."""

    def __init__(self, command: list[str], env: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env=dict(env), stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def kill(self) -> None:
        """kill -9 of the process and of its children."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(60)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def alive(self) -> bool:
        return self._process.poll() is None


def start_web(env: Mapping[str, str], port: int, log: Path) -> Process:
    """gunicorn with app, answering when this returns."""
    settings = "python:common.web.gunicorn_conf"
    process = Process(["gunicorn", "-c", settings, "app.wsgi:app"], {**env, "PORT": str(port)}, log)
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        assert process.alive(), process.output
        try:
            if urllib3.request("GET", f"http://127.0.0.1:{port}/health", retries=False, timeout=2).status == 200:
                return process
        except urllib3.exceptions.HTTPError:
            time.sleep(0.05)
    process.kill()
    raise AssertionError(process.output)


def start_worker(env: Mapping[str, str], log: Path) -> Process:
    return Process(["app.worker"], env, log)
