"""Real models in processes of their own, over gpt's routes: switched under load, killed, left alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from flask.testing import FlaskClient

from common.messages import Text, _
from common.models.catalogue import ModelEntry
from common.models.registry import Registry
from gpt.engines.forwarding import GptEngine
from gpt.engines.process.client import ProcessEngine
from gpt.factory import create_app, create_registry
from tests.gpt.conftest import settings_for, wait_until

ASK = {"messages": [{"role": "user", "content": "Bonjour"}], "max_tokens": 4, "temperature": 0}


Engines = Callable[[], list[psutil.Process]]


def host_processes() -> list[psutil.Process]:
    """The processes of engines, those that just ended left out."""
    found = []
    for one in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            found += [one] if "gpt.engines.process.host" in " ".join(one.cmdline()) else []
    return found


@pytest.fixture
def engines() -> Iterator[Engines]:
    """The processes of engines that a test began; none is left after it."""
    others = {one.pid for one in host_processes()}

    def ours() -> list[psutil.Process]:
        return [one for one in host_processes() if one.pid not in others]

    yield ours
    assert ours() == []


@pytest.fixture
def registry(tiny_llama: Path, tmp_path: Path, engines: Engines) -> Iterator[Registry[GptEngine]]:
    """tiny-llama is chosen; frigo-mini is here too."""
    registry = create_registry(settings_for(tiny_llama, tmp_path, ia_engine="ctranslate2"))
    registry.start()
    yield registry
    registry.close()


@pytest.fixture
def client(registry: Registry[GptEngine], tiny_llama: Path, tmp_path: Path) -> FlaskClient:
    return create_app(settings_for(tiny_llama, tmp_path), registry).test_client()


def one_at_a_time(monkeypatch: pytest.MonkeyPatch, registry: Registry[GptEngine], engines: Engines) -> None:
    """As on a machine that holds one model: nothing fits beside what is loaded."""

    def unfit(_entry: ModelEntry, freed: int = 0) -> Text | None:
        return _("trop grand") if engines() and not freed else None

    monkeypatch.setattr(registry._loader, "unfit", unfit)


@pytest.mark.parametrize("beside", [True, False])
def test_no_chat_is_lost_while_the_model_is_switched(
    client: FlaskClient, registry: Registry[GptEngine], monkeypatch: pytest.MonkeyPatch, engines: Engines, beside: bool
) -> None:
    if not beside:
        one_at_a_time(monkeypatch, registry, engines)
    over = threading.Event()
    answers: list[tuple[int, Any]] = []

    def ask() -> None:
        own = client.application.test_client()
        while not over.is_set():
            answer = own.post("/v1/chat/completions", json=ASK)
            answers.append((answer.status_code, answer.json))

    wait_until(lambda: registry.state("tiny-llama") == "ready")
    clients = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for one in clients:
        one.start()
    for key in ("frigo-mini", "tiny-llama", "frigo-mini"):
        before = len(answers)
        assert client.post(f"/api/models/{key}/load").status_code == 202
        wait_until(lambda: registry.state(key) == "ready")  # noqa: B023
        wait_until(lambda: any(body.get("model") == key for _code, body in answers[before:]))  # noqa: B023
        assert len(engines()) == (2 if beside else 1)
    over.set()
    for one in clients:
        one.join(30)
    assert [body for code, body in answers if code != 200] == []


def test_a_killed_engine_is_loaded_again(client: FlaskClient, registry: Registry[GptEngine], engines: Engines) -> None:
    assert client.post("/v1/chat/completions", json=ASK).status_code == 200
    with registry.use() as lease:
        assert isinstance(lease.engine, ProcessEngine)
        pid = lease.engine.pid
    psutil.Process(pid).kill()
    wait_until(lambda: any(one.pid != pid for one in engines()) and registry.state("tiny-llama") == "ready")
    assert client.post("/v1/chat/completions", json=ASK).status_code == 200


def test_a_model_left_alone_gives_its_memory_back(tiny_llama: Path, tmp_path: Path, engines: Engines) -> None:
    registry = create_registry(settings_for(tiny_llama, tmp_path, ia_engine="ctranslate2", ia_model_ttl_s=1))
    client = create_app(settings_for(tiny_llama, tmp_path), registry).test_client()
    assert client.post("/v1/chat/completions", json=ASK).status_code == 200
    with registry.use("tiny-llama"):  # which is not left alone meanwhile
        shown = client.get("/api/models").json
    assert shown is not None
    assert next(model for model in shown["models"] if model["key"] == "tiny-llama")["resident_bytes"] > 10_000_000
    wait_until(lambda: registry.state("tiny-llama") == "downloaded" and engines() == [])
    assert client.post("/v1/chat/completions", json=ASK).status_code == 200
    registry.close()
