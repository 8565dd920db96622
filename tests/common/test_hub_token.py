"""The hub's token in a service: behind the guard of SERVICE_TOKEN, in and never out, the latest word."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from common.errors import ApiError
from common.hub.hub import Hub
from common.hub.token import SAVED_TOKEN, GivenToken, keep_token, read_token
from common.models.token_routes import hub_token_blueprint
from common.settings import ServiceSettings
from common.web.auth import SERVICE_TOKEN_HEADER, service_only
from common.web.factory import create_service
from tests.common.lifecycle_fakes import Machine, entry, registry_of, until_state

URL = "/api/huggingface/token"
SECRET = "hf_secret"
HEADERS = {SERVICE_TOKEN_HEADER: "between-us"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    settings = ServiceSettings(port=5002, service_token=SecretStr("between-us"), data_dir=tmp_path)
    registry = registry_of(Machine(), entry("a", 10))
    app = create_service("gpt", settings, ready=registry.ready)
    app.before_request(service_only(settings))
    app.register_api(hub_token_blueprint(tmp_path, registry))
    yield app.test_client()
    registry.close()


def test_only_services_may_tell_or_ask(client: Any, tmp_path: Path) -> None:
    for answer in (
        client.put(URL, json={"token": SECRET, "since": 1}),
        client.get(URL),
        client.put(URL, json={"token": SECRET, "since": 1}, headers={SERVICE_TOKEN_HEADER: "guess"}),
    ):
        assert (answer.status_code, answer.json["error"]["code"]) == (401, "service_token_required")
    assert list(tmp_path.iterdir()) == []


def test_it_goes_in_and_never_comes_out(client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hub = Hub(tmp_path / "cache", token="hf_environment", saved_token=tmp_path / SAVED_TOKEN)
    assert client.get(URL, headers=HEADERS).json == {"given": False, "since": None}
    told = client.put(URL, json={"token": SECRET, "since": 5}, headers=HEADERS)
    assert told.json == {"given": True, "since": 5} == client.get(URL, headers=HEADERS).json
    assert hub.current_token() == SECRET
    kept = tmp_path / SAVED_TOKEN
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert client.put(URL, json={"token": "hf_late", "since": 4}, headers=HEADERS).json == {"given": True, "since": 5}
    assert hub.current_token() == SECRET
    assert client.put(URL, json={"token": "", "since": 6}, headers=HEADERS).json == {"given": False, "since": 6}
    assert SECRET not in kept.read_text()
    assert hub.current_token() == "hf_environment"
    assert SECRET not in caplog.text + repr(GivenToken(SECRET, 1)) + "".join(str(r.__dict__) for r in caplog.records)


@pytest.mark.parametrize(
    "body",
    [
        {"token": [SECRET], "since": 1},
        {"token": SECRET},
        {"token": SECRET, "since": -1},
        {"token": SECRET, "since": 1, "x": SECRET},
        {"token": f"{SECRET}\n9", "since": 1},
    ],
)
def test_a_wrong_body_changes_nothing_and_is_not_echoed(body: dict[str, Any], client: Any, tmp_path: Path) -> None:
    answer = client.put(URL, json=body, headers=HEADERS)
    assert answer.status_code == 400
    assert SECRET.encode() not in answer.data
    assert list(tmp_path.iterdir()) == []


def test_a_default_model_that_failed_is_tried_again(tmp_path: Path) -> None:
    machine = Machine()
    registry = registry_of(machine, entry("a", 10))
    machine.fail["a"] = [RuntimeError("no access")]
    app = create_service("gpt", ServiceSettings(port=5002), ready=registry.ready)
    app.register_api(hub_token_blueprint(tmp_path, registry))
    registry.start()
    until_state(registry, "a", "error")
    app.test_client().put(URL, json={"token": SECRET, "since": 1})
    until_state(registry, "a", "ready")
    registry.close()


def test_many_processes_leave_the_latest_word(tmp_path: Path) -> None:
    path = tmp_path / SAVED_TOKEN
    script = (
        "import sys; from pathlib import Path; from common.hub.token import GivenToken, keep_token\n"
        "first = int(sys.argv[2])\n"
        "for n in range(first, 200, 4): keep_token(Path(sys.argv[1]), GivenToken(f'hf_{n}', n))"
    )
    root = Path(__file__).resolve().parents[2]
    started = [subprocess.Popen([sys.executable, "-c", script, str(path), str(n)], cwd=root) for n in range(4)]
    assert [process.wait(60) for process in started] == [0] * 4
    assert read_token(path) == GivenToken("hf_199", 199)
    assert [found.name for found in tmp_path.iterdir()] == [SAVED_TOKEN]


@pytest.mark.parametrize("written", [b"", b"\n", b"\xff\xfe", b"\nsoon\n"])
def test_a_file_that_is_none_gives_no_token(written: bytes, tmp_path: Path) -> None:
    (tmp_path / SAVED_TOKEN).write_bytes(written)
    assert Hub(tmp_path, token="hf_environment", saved_token=tmp_path / SAVED_TOKEN).current_token() == "hf_environment"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ApiError, match="data_dir_unwritable") as refused:
        keep_token(tmp_path / "file" / SAVED_TOKEN, GivenToken(SECRET, 1))
    assert os.fspath(tmp_path) not in str(refused.value.message)
