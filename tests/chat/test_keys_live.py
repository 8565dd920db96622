"""Keys as chat is run: two gunicorn workers, OpenAI's own client, and a stop that loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from chat.database import open_database
from chat.keys.store import KeyStore
from chat.keys.usage import Usage, UsageBook
from chat.settings import ChatSettings
from tests.app.processes import ROOT

MESSAGES: Any = [{"role": "user", "content": "abc"}]


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    database = open_database(ChatSettings(data_dir=tmp_path))
    return KeyStore(database, UsageBook(database))


@pytest.fixture
def live(gpt_url: str, tmp_path: Path, free_port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    environ = {
        "PATH": os.environ["PATH"],
        "PORT": str(free_port),
        "WEB_CONCURRENCY": "2",
        "GPT_API_URL": gpt_url,
        "DATA_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.web.gunicorn_conf", "chat.wsgi:app"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)
    url, deadline = f"http://127.0.0.1:{free_port}", time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield f"{url}/v1", process
    if process.poll() is None:
        process.terminate()
        process.wait(60)


def test_openais_client_meets_openais_errors(live: tuple[str, subprocess.Popen[bytes]], store: KeyStore) -> None:
    url, process = live
    _row, key = store.create(name="a", models=["frigo-mini"], requests_per_minute=4)

    def ask(api_key: str, model: str = "frigo-mini", *, stream: bool = False) -> Any:
        client = openai.OpenAI(base_url=url, api_key=api_key, max_retries=0)
        return client.chat.completions.create(model=model, messages=MESSAGES, stream=stream, max_tokens=2)

    with pytest.raises(openai.AuthenticationError):
        ask("sk-other")
    assert ask(key).usage.total_tokens == 7
    assert [chunk.choices[0].delta.content for chunk in ask(key, stream=True)] == ["é0 ", "é1 "]
    with pytest.raises(openai.PermissionDeniedError) as denied:
        ask(key, "qwen3-4b")
    assert (denied.value.code, denied.value.param) == ("model_not_found", "model")
    assert ask(key).choices[0].message.content == "cba"
    with pytest.raises(openai.RateLimitError) as limited:
        ask(key)
    assert (limited.value.code, limited.value.type) == ("rate_limit_exceeded", "requests")
    process.terminate()
    assert process.wait(60) == 0
    assert [day.used for day in store.usage(1)] == [Usage(3, 17, 10)]
