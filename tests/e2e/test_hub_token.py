"""Hugging Face's token in the real stack: given on the page, used at the next download, written and said nowhere."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from scripts.stack import prepare
from tests.e2e.stack import ADMIN_TOKEN, Stack
from tests.hub_server import HubServer

SECRET = "hf_the-secret-of-this-test"
REPO = "openai-community/gpt2"
HEADERS = {"X-Admin-Token": ADMIN_TOKEN}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    server = HubServer({REPO: folder}, token=SECRET, cdn=True).start()
    yield server
    server.stop()


@pytest.fixture
def running(tmp_path: Path, hub: HubServer) -> Iterator[Stack]:
    variables = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.url, "LOG_LEVEL": "DEBUG", "HF_HUB_VERBOSITY": "debug"}
    stack = Stack(tmp_path, **variables)
    stack.logs.mkdir()
    try:
        prepare(stack.env)
        stack._start("app")  # never ready: its other peers are not there
        stack.restart("gpt")
        wait_until(lambda: _alive(stack.app_url))
        yield stack
    finally:
        stack.close()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def _alive(url: str) -> bool:
    try:
        return urllib3.request("GET", f"{url}/health", timeout=5, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


class Page:
    """The supervision page's calls; keeps every byte that was answered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.answers = b""

    def call(self, method: str, path: str, **body: Any) -> urllib3.BaseHTTPResponse:
        answer = urllib3.request(method, self._url + path, headers=HEADERS, timeout=30, **body)
        self.answers += answer.data + repr(answer.headers).encode()
        return answer

    def model(self) -> dict[str, Any]:
        services = {service["name"]: service for service in self.call("GET", "/api/admin/status").json()["services"]}
        found: dict[str, Any] = next(model for model in services["gpt"]["models"] if model["key"] == "gpt2")
        return found

    def download(self, ended: Callable[[dict[str, Any]], bool]) -> None:
        assert self.call("POST", "/api/admin/models/gpt2/download").status == 202
        wait_until(lambda: ended(self.model()))


def test_the_token_given_on_the_page_is_used_at_once_and_shown_nowhere(running: Stack, hub: HubServer) -> None:
    page = Page(running.app_url)
    page.download(lambda model: bool(model["error"]))
    assert "HUGGINGFACE_TOKEN" in page.model()["error"]
    assert page.call("POST", "/api/admin/huggingface/token", json={"token": SECRET}).status == 200
    kept = running.data_dir / "huggingface_token"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    page.download(lambda model: model["state"] == "downloaded")  # same processes: nothing was restarted
    assert f"Bearer {SECRET}" in hub.tokens
    assert set(hub.cdn_tokens) == {""}  # the other host, where big files are
    assert page.call("POST", "/api/admin/huggingface/token", json={"token": ["x", SECRET]}).status == 400
    assert page.call("POST", "/api/admin/huggingface/token", json={"token": ""}).status == 200
    assert SECRET not in kept.read_text(encoding="utf-8")
    assert page.call("GET", "/api/admin/status").json()["huggingface_token"] is False
    page.call("GET", "/metrics")
    assert SECRET.encode() not in page.answers
    written = [path for path in (*running.logs.rglob("*"), *running.data_dir.rglob("*")) if path.is_file()]
    assert len(written) > 2
    assert [path.name for path in written if SECRET.encode() in path.read_bytes()] == []
    logged = running.log("gpt")
    assert '"level": "DEBUG"' in logged  # the noisiest log there is
