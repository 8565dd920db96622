"""pyannote's environment, where there is one, as the tests use it; and a diarize service that runs on it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.process.environments import python_with
from common.process.variables import model_variables
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
STUBS = Path(__file__).parent / "stubs"
START_SECONDS = 240


def pyannote_python() -> str:
    """The interpreter that has pyannote; skips the test where there is none."""
    python = python_with("pyannote")
    if python is None:
        pytest.skip("pyannote is not installed here (make run MOTEURS=pyannote): its real code can't run")
    return python


def run(python: str, script: str, *words: str) -> str:
    """What a script of this folder prints, run by pyannote's interpreter."""
    env = {**os.environ, **model_variables(use_gpu=False), "PYTHONPATH": f"{STUBS}{os.pathsep}{ROOT}"}
    env["PYANNOTE_METRICS_ENABLED"] = "0"
    command = [python, "-W", "ignore", str(Path(__file__).with_name(script)), *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@contextmanager
def service(folder: Path, **variables: str) -> Iterator[str]:
    """diarize under gunicorn, its model ready; gives its address. Its log is ``folder/diarize.log``."""
    port = free_port()
    env = {
        **os.environ,
        "PORT": str(port),
        "DATA_DIR": str(folder / "data"),
        "MODEL_CACHE_DIR": str(folder / "cache"),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(STUBS),
        "IA_USE_GPU": "false",
        **variables,
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.web.gunicorn_conf", "diarize.wsgi:app"]
    with (folder / "diarize.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{address}/ready"):
            assert process.poll() is None, (folder / "diarize.log").read_text(encoding="utf-8")[-3000:]
            assert time.monotonic() < deadline, (folder / "diarize.log").read_text(encoding="utf-8")[-3000:]
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def answers(address: str) -> bool:
    """Whether a GET gives 200."""
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
