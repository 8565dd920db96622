"""The real process: gunicorn, what it imports and when, what it answers while and after its model loads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest
import urllib3

from tests.conftest import ROOT
from tests.ports import free_port


@pytest.fixture(scope="module")
def environment(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    tmp_path = tmp_path_factory.mktemp("service")
    port = free_port()
    return {
        **os.environ,
        "PORT": str(port),
        "IA_MODEL": str(tiny_llama),
        "IA_USE_GPU": "false",
        "MODEL_CACHE_DIR": str(tmp_path / "models"),
        "DATA_DIR": str(tmp_path),
        "SERVICE_TOKEN": "",
    }


@pytest.fixture(scope="module")
def service(environment: dict[str, str]) -> Iterator[str]:
    with running(environment) as url:
        yield url


@contextmanager
def running(environment: dict[str, str]) -> Iterator[str]:
    """gpt as it runs in production; gives its URL once it listens, stops it politely at the end."""
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.web.gunicorn_conf", "gpt.wsgi:app"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{environment['PORT']}"
    http = urllib3.PoolManager(retries=False, timeout=5)
    deadline = time.monotonic() + 120
    try:
        while True:
            assert process.poll() is None, "gpt stopped"
            assert time.monotonic() < deadline, "gpt does not answer"
            try:
                http.request("GET", f"{url}/health")
                break
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_it_answers_before_its_model_is_there_and_then_with_it(service: str) -> None:
    http = urllib3.PoolManager(retries=False, timeout=5)
    first = http.request("GET", f"{service}/ready")
    assert first.status in (200, 503)
    deadline = time.monotonic() + 120
    while http.request("GET", f"{service}/ready").status != 200:
        assert time.monotonic() < deadline, "the model never came"
        assert http.request("GET", f"{service}/health").status == 200
        time.sleep(0.05)
    client = openai.OpenAI(base_url=f"{service}/v1", api_key="none")
    stream = client.chat.completions.create(
        model="default", messages=[{"role": "user", "content": "Bonjour"}], max_tokens=12, seed=1, stream=True
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    assert b"frigo" in http.request("GET", f"{service}/metrics").data


def test_it_stays_in_reach_while_many_stream(service: str) -> None:
    http = urllib3.PoolManager(retries=False, timeout=30, maxsize=40)
    deadline = time.monotonic() + 120
    while http.request("GET", f"{service}/ready").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    body = {"prompt": "Le", "max_tokens": 120, "stream": True, "logit_bias": {"0": -100, "2": -100}}
    begun = threading.Event()

    def stream(_number: int) -> bytes:
        answer = http.request("POST", f"{service}/v1/completions", json=body, preload_content=False)
        first = answer.read(10)
        begun.set()
        return first + answer.read()

    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(stream, number) for number in range(20)]
        assert begun.wait(60)
        assert http.request("GET", f"{service}/health").status == 200
        assert not any(answer.done() for answer in answers)  # it did not wait for one of them to end
    assert all(answer.result().endswith(b"data: [DONE]\n\n") for answer in answers)


def test_a_stream_that_would_not_end_is_ended_before_the_process_is_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    port = str(free_port())
    http = urllib3.PoolManager(retries=False, timeout=30)
    with ThreadPoolExecutor(1) as pool:
        with running({**environment, "PORT": port, "IA_MODEL": "frigo-mini", "DATA_DIR": str(tmp_path)}) as url:
            events = http.request("GET", f"{url}/api/models/events", preload_content=False)
            first = events.read(6)
            rest = pool.submit(events.read)
        assert first + rest.result(60)[:1] == b"event: "  # whole: a connection that is cut raises ProtocolError


def test_torch_is_imported_by_the_engine_alone() -> None:
    code = (
        "import sys, os\n"
        "import gpt.factory, gpt.settings, gpt.loader, common.hub.hub\n"
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'llguidance', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "value"), [("IA_MODEL", "nonsense"), ("IA_ENGINE", "magic"), ("PORT", "99999")])
def test_a_wrong_variable_stops_it_with_one_sentence(environment: dict[str, str], name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import gpt.wsgi"],
        cwd=ROOT,
        env={**environment, name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_openmp_waits_without_burning_the_other_engines_cores() -> None:
    code = "import os, gpt.engines.transformers.weights; print(os.environ['OMP_WAIT_POLICY'])"
    clean = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "passive"
