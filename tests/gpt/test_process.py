"""A language engine in a process of its own gives what it gives in this one."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from common.errors import ApiError
from common.process.child import CALL_SECONDS
from gpt.engines.base import GenerationRequest, LanguageEngine
from gpt.engines.options import EngineOptions
from gpt.engines.process.client import ProcessEngine
from tests.gpt.conftest import ROOT, wait_until
from tests.gpt.generation import Generation


@pytest.fixture(scope="module")
def engine(tiny_llama: Path) -> Iterator[ProcessEngine]:
    one = ProcessEngine("transformers", tiny_llama, EngineOptions(use_gpu=False))
    yield one
    one.close()


def test_it_says_what_the_engine_says(engine: ProcessEngine, llama: LanguageEngine) -> None:
    assert engine.name == llama.name
    assert engine.capabilities == llama.capabilities
    assert engine.context == llama.context
    assert engine.defaults == llama.defaults


def test_prompts_and_text_are_the_same(engine: ProcessEngine, llama: LanguageEngine) -> None:
    assert engine.encode("Le client") == llama.encode("Le client")
    assert engine.encode_chat([{"role": "user", "content": "où ?"}], {}) == llama.encode_chat(
        [{"role": "user", "content": "où ?"}], {}
    )
    prompt = llama.encode("Le service")
    assert engine.decode(prompt.ids) == llama.decode(prompt.ids)


def test_deltas_are_the_same(engine: ProcessEngine, llama: LanguageEngine) -> None:
    request = GenerationRequest(llama.encode("Le client"), 30, temperature=0, logprobs=2)
    ours, theirs = list(Generation(engine, request)), list(Generation(llama, request))
    assert [delta.text for delta in ours] == [delta.text for delta in theirs]
    assert [delta.token_ids for delta in ours] == [delta.token_ids for delta in theirs]
    assert ours[-1].usage == theirs[-1].usage


def test_a_refusal_keeps_its_form(engine: ProcessEngine) -> None:
    with pytest.raises(ApiError) as caught:
        engine.encode_ids([10**6])
    assert (caught.value.status, caught.value.param) == (400, "prompt")


def test_a_reader_who_leaves_frees_the_slot(engine: ProcessEngine) -> None:
    generation = Generation(engine, GenerationRequest(engine.encode("Le"), 250, ignore_eos=True))
    next(iter(generation))
    assert engine.load[0] == 1
    generation.close()
    wait_until(lambda: engine.load == (0, 0))


def test_texts_that_are_read_leave_room_for_generations(engine: ProcessEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process answers four calls at once: long ones take no more than two of them, and as long as they need."""
    go, given, running = threading.Event(), [], []

    def call(method: str, *_args: Any, seconds: float = CALL_SECONDS) -> list[float]:
        given.append(seconds)
        running.append(method)
        together.append(len(running))
        assert go.wait(60)
        running.remove(method)
        return [1.0]

    together: list[int] = []
    monkeypatch.setattr(engine, "_child", SimpleNamespace(call=call))
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(engine.embed, [1]) for _ in range(4)]
        wait_until(lambda: len(running) == 2)
        go.set()
        assert [one.result(60) for one in found] == [[1.0]] * 4
    assert max(together) == 2
    assert min(given) > 5 * CALL_SECONDS


def test_a_killed_engine_ends_its_generations_with_an_error(tiny_llama: Path) -> None:
    one = ProcessEngine("transformers", tiny_llama, EngineOptions(use_gpu=False))
    request = GenerationRequest(one.encode("Le"), 250, ignore_eos=True)
    generations = [Generation(one, request) for _ in range(20)]  # more than run at once: the last waits for others
    next(iter(generations[0]))
    psutil.Process(one.pid).kill()
    with pytest.raises(ApiError) as caught:
        list(generations[-1])
    assert caught.value.code == "engine_died"
    one.close()


def test_the_service_itself_never_imports_an_engines_library(tmp_path: Path) -> None:
    code = (
        "import sys, gpt.wsgi\n"
        "from common.models import registry\n"
        "sys.exit(bool({'torch', 'transformers', 'ctranslate2', 'llguidance'} & set(sys.modules)))"
    )
    env = {"DATA_DIR": str(tmp_path), "IA_MODEL": "frigo-mini", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
