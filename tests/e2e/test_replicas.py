"""Two gpt with a DATA_DIR each, as under Compose: the supervision's token and actions reach both, as real processes."""

from __future__ import annotations

import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from common.hub.token import SAVED_TOKEN
from tests.app.processes import Process, environment, start_web, start_worker
from tests.hub_server import HubServer
from tests.ports import free_ports

SECRET = "hf_the-secret-of-this-test"
REPO = "openai-community/gpt2"
ADMIN = "the-admin-token-of-this-test"
NAMES = ("gpt", "gpt-b")


class House:
    """app, two gpt, and the calls of the page; keeps every byte that was answered."""

    def __init__(self, folder: Path, hub: HubServer) -> None:
        ports = free_ports(5)
        self.folder = folder
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(NAMES, ports[1:], strict=False)}
        self.running: dict[str, Process] = {}
        self.answers = b""
        self._ports = dict(zip(("app", *NAMES), ports, strict=False))
        absent = f"http://127.0.0.1:{ports[3]}"
        self._common = {
            "SERVICE_TOKEN": "between-us", "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "LOG_LEVEL": "DEBUG",
            "HF_HUB_VERBOSITY": "debug", "OMP_WAIT_POLICY": "passive", "HF_TOKEN": "", "HUGGINGFACE_TOKEN": "",
        }  # fmt: skip
        self._app = {
            "ADMIN_TOKEN": ADMIN, "CHAT_API_URL": absent, "ASR_API_URL": absent, "DIARIZE_API_URL": absent,
            "GPT_API_URL": ",".join(self.urls.values()), "HOST_BIND_ADDRESS": "127.0.0.1",
        }  # fmt: skip

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def data(self, name: str) -> Path:
        return self.folder / name / "data"

    def env(self, name: str, **given: str) -> dict[str, str]:
        own = {"DATA_DIR": self.data(name), "HF_HOME": self.folder / name / "hub"}
        return environment(**self._common, **own, **given)

    def start_gpt(self, name: str) -> None:
        self.data(name).mkdir(parents=True, exist_ok=True)
        given = {"PORT": str(self._ports[name]), "IA_MODEL": "frigo-mini", "HOST_BIND_ADDRESS": "127.0.0.1"}
        command = ["gunicorn", "-c", "python:common.web.gunicorn_conf", "gpt.wsgi:app"]
        self.running[name] = Process(command, self.env(name, **given), self.log(name))

    def wait_gpt(self, name: str) -> None:
        wait_until(lambda: self.running[name].alive() and _answers(self.urls[name]), 120)

    def start_app(self) -> None:
        self.running["app"] = start_web(self.env("app", **self._app), self._ports["app"], self.log("app"))

    def start_worker(self) -> None:
        self.running["worker"] = start_worker(self.env("app", **self._app), self.log("worker"))

    def kill(self, name: str) -> None:
        self.running.pop(name).kill()

    def close(self) -> None:
        for name in list(self.running):
            self.kill(name)

    def call(self, method: str, path: str, **body: Any) -> urllib3.BaseHTTPResponse:
        headers = {"X-Admin-Token": ADMIN}
        answer = urllib3.request(method, self.url + path, headers=headers, timeout=60, retries=False, **body)
        self.answers += answer.data + repr(answer.headers).encode()
        return answer

    def give(self, token: str) -> dict[str, bool]:
        answer = self.call("POST", "/api/admin/huggingface/token", json={"token": token})
        assert answer.status == 200
        told = {one["url"]: one["kept"] for one in answer.json()["replicas"]}
        return {name: told[url] for name, url in self.urls.items()}

    def model(self) -> dict[str, Any]:
        services = {service["name"]: service for service in self.call("GET", "/api/admin/status").json()["services"]}
        found: dict[str, Any] = next(model for model in services["gpt"]["models"] if model["key"] == "gpt2")
        return found

    def act(self, action: str, ended: Callable[[dict[str, Any]], bool]) -> None:
        answer = self.call("POST", f"/api/admin/models/gpt2/{action}")
        assert (answer.status, answer.json()["warnings"]) == (202, [])
        assert [one["url"] for one in answer.json()["replicas"]] == list(self.urls.values())
        wait_until(lambda: ended(self.model()))

    def kept(self, name: str) -> str:
        path = self.data(name) / SAVED_TOKEN
        return path.read_text(encoding="utf-8").splitlines()[0] if path.exists() else ""


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", f"{url}/health", timeout=5, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    server = HubServer({REPO: folder}, token=SECRET).start()
    yield server
    server.stop()


@pytest.fixture
def house(tmp_path: Path, hub: HubServer) -> Iterator[House]:
    house = House(tmp_path, hub)
    try:
        for name in NAMES:
            house.start_gpt(name)
        house.start_app()
        for name in NAMES:
            house.wait_gpt(name)
        yield house
    finally:
        house.close()


def test_the_token_and_what_is_asked_reach_each_replica(house: House, hub: HubServer) -> None:
    house.act("download", lambda model: bool(model["error"]) and model["state"] == "error" and "replicas" not in model)
    assert "HUGGINGFACE_TOKEN" in house.model()["error"]

    assert house.give(SECRET) == {"gpt": True, "gpt-b": True}
    for name in NAMES:
        assert stat.S_IMODE((house.data(name) / SAVED_TOKEN).stat().st_mode) == 0o600
    house.act("download", lambda model: model["state"] == "downloaded" and "replicas" not in model)
    for name in NAMES:  # same processes, each in its own cache
        assert list((house.folder / name / "hub").rglob("model.safetensors"))
    assert hub.tokens.count(f"Bearer {SECRET}") >= len(NAMES)

    house.kill("gpt-b")
    shutil.rmtree(house.data("gpt-b"))
    house.start_gpt("gpt-b")
    house.wait_gpt("gpt-b")
    assert house.kept("gpt-b") == ""
    house.start_worker()  # nobody looks at the page
    wait_until(lambda: house.kept("gpt-b") == SECRET)
    house.kill("worker")

    house.kill("gpt-b")
    assert house.give("") == {"gpt": True, "gpt-b": False}
    assert (house.kept("app"), house.kept("gpt"), house.kept("gpt-b")) == ("", "", SECRET)
    house.start_gpt("gpt-b")
    house.wait_gpt("gpt-b")
    wait_until(lambda: bool(house.model()) and house.kept("gpt-b") == "")  # the page, as it is looked at

    house.close()
    assert SECRET.encode() not in house.answers
    written = [path for path in house.folder.rglob("*") if path.is_file() and "repo" not in path.parts]
    assert [path.name for path in written if SECRET.encode() in path.read_bytes()] == []
    assert '"level": "DEBUG"' in house.log("gpt").read_text(encoding="utf-8")  # the noisiest log there is
