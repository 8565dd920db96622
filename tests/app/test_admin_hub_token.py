"""The hub's token in app: kept for ourselves, told to each replica of each service, never shown."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from pydantic import SecretStr

from app.admin.hub_token import HubTokenDesk
from app.factory import create_app
from app.peers import connect
from app.settings import AppSettings
from common.hub.token import SAVED_TOKEN, GivenToken, keep_token, read_token
from common.models.token_routes import hub_token_blueprint
from common.settings import ServiceSettings, load
from common.web.factory import create_service
from tests.app.fakes import ADMIN, SERVICE

BEARER = {"Authorization": f"Bearer {ADMIN}"}
ADDRESS = "/api/admin/huggingface/token"
SECRET = "hf_secret"


class FakeRegistry:
    """A registry whose default model does as it is told."""

    def __init__(self, state: str) -> None:
        self.starts = 0
        self._state = state
        self.selection = self
        self.chosen = "any"

    def state(self, _name: str) -> str:
        return self._state

    def start(self) -> None:
        self.starts += 1


@dataclass
class House:
    """app before two gpt, one asr and one diarize; each has a DATA_DIR of its own unless told otherwise."""

    folder: Path
    serve: Callable[..., str]
    registry: FakeRegistry = field(default_factory=lambda: FakeRegistry("ready"))
    addresses: dict[str, str] = field(default_factory=dict)
    settings: AppSettings | None = None

    def service(self, name: str, folder: Path | None = None) -> str:
        app = create_service(name, ServiceSettings(port=5002, service_token=SecretStr(SERVICE)), ready=dict)
        app.register_api(hub_token_blueprint(folder or self.folder / name, self.registry))  # type: ignore[arg-type]

        def guard() -> None:
            assert request.path == "/health" or request.headers["X-Service-Token"] == SERVICE

        app.before_request(guard)
        self.addresses[name] = self.serve(app)
        return self.addresses[name]

    def open(self, **given: Any) -> Any:
        self.settings = load(
            AppSettings, data_dir=self.folder / "app", admin_token=ADMIN, service_token=SERVICE,
            chat_api_url=self.serve(Flask("chat")), **given,
        )  # fmt: skip
        return create_app(self.settings).test_client()

    def kept(self, name: str) -> GivenToken | None:
        return read_token(self.folder / name / SAVED_TOKEN)

    def spread(self) -> list[str | None]:
        assert self.settings is not None
        return [told.error for told in HubTokenDesk(self.settings, connect(self.settings)).spread()]


@pytest.fixture
def house(serve: Callable[..., str], tmp_path: Path) -> House:
    return House(tmp_path, serve)


@pytest.fixture
def admin(house: House) -> Any:
    gpt = f"{house.service('gpt')},{house.service('gpt-b')}"
    return house.open(gpt_api_url=gpt, asr_api_url=house.service("asr"), diarize_api_url=house.service("diarize"))


def test_every_replica_is_told_and_keeps_it_for_itself(admin: Any, house: House) -> None:
    answer = admin.post(ADDRESS, json={"token": f" {SECRET} "}, headers=BEARER)
    assert answer.status_code == 200
    assert answer.json["replicas"] == [
        {"service": name.removesuffix("-b"), "url": house.addresses[name], "kept": True}
        for name in ("gpt", "gpt-b", "asr", "diarize")
    ]
    for name in ("app", "gpt", "gpt-b", "asr", "diarize"):
        kept = house.folder / name / SAVED_TOKEN
        assert kept.read_text().splitlines()[0] == SECRET
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert [path.name for path in kept.parent.iterdir() if "secret" in path.name] == []
    shown = admin.get("/api/admin/status", headers=BEARER)
    assert shown.json["huggingface_token"] is True
    assert all(one["kept"] for one in shown.json["huggingface_token_replicas"])
    assert SECRET.encode() not in shown.data + answer.data


def test_taking_it_back_takes_it_back_everywhere(admin: Any, house: House) -> None:
    admin.post(ADDRESS, json={"token": SECRET}, headers=BEARER)
    assert admin.post(ADDRESS, json={"token": ""}, headers=BEARER).status_code == 200
    for name in ("app", "gpt", "gpt-b", "asr", "diarize"):
        assert SECRET not in (house.folder / name / SAVED_TOKEN).read_text()
    assert admin.get("/api/admin/status", headers=BEARER).json["huggingface_token"] is False


def test_nobody_is_asked_while_no_token_was_ever_given(admin: Any, house: House) -> None:
    assert admin.get("/api/admin/status", headers=BEARER).json["huggingface_token_replicas"] == []
    assert house.spread() == []


def test_who_lost_it_or_missed_a_change_is_told_again(admin: Any, house: House) -> None:
    admin.post(ADDRESS, json={"token": "hf_old"}, headers=BEARER)
    old = house.kept("gpt")
    admin.post(ADDRESS, json={"token": SECRET}, headers=BEARER)
    assert old is not None
    (house.folder / "gpt" / SAVED_TOKEN).write_text(f"{old.token}\n{old.since}\n")  # was down meanwhile
    (house.folder / "asr" / SAVED_TOKEN).unlink()  # restarted without a disk
    assert house.spread() == [None] * 4
    assert house.kept("gpt") == house.kept("gpt-b") == house.kept("asr") == house.kept("app")
    admin.post(ADDRESS, json={"token": ""}, headers=BEARER)
    (house.folder / "gpt" / SAVED_TOKEN).write_text(f"{old.token}\n{old.since}\n")  # and missed that it was taken back
    admin.get("/api/admin/status", headers=BEARER)  # looking at the page is enough
    assert house.kept("gpt") == house.kept("app")
    assert SECRET not in str(house.kept("gpt"))


def test_what_does_not_answer_is_named_and_the_others_are_told(house: House, free_port: int) -> None:
    absent = f"http://127.0.0.1:{free_port}"
    admin = house.open(
        gpt_api_url=f"{absent},{house.service('gpt')}", asr_api_url=house.service("asr"),
        diarize_api_url=house.serve(Flask("too old")),
    )  # fmt: skip
    told = admin.post(ADDRESS, json={"token": SECRET}, headers=BEARER).json["replicas"]
    assert [(one["service"], one["kept"]) for one in told] == [
        ("gpt", False), ("gpt", True), ("asr", True), ("diarize", False),
    ]  # fmt: skip
    assert told[0]["url"] == absent
    assert "ne répond pas" in told[0]["error"]
    assert "404" in told[3]["error"]
    assert house.kept("gpt") == house.kept("asr") == house.kept("app")


def test_a_folder_that_all_share_is_one_place(house: House) -> None:
    shared = house.folder / "app"
    addresses = {f"{name}_api_url": house.service(name, shared) for name in ("gpt", "asr", "diarize")}
    admin = house.open(**addresses)
    admin.post(ADDRESS, json={"token": "hf_old"}, headers=BEARER)
    old = house.kept("app")
    admin.post(ADDRESS, json={"token": SECRET}, headers=BEARER)
    assert old is not None
    assert keep_token(shared / SAVED_TOKEN, old).token == SECRET  # a late word of before undoes nothing
    assert [path.name for path in shared.iterdir() if "token" in path.name or "secret" in path.name] == [SAVED_TOKEN]
    admin.post(ADDRESS, json={"token": ""}, headers=BEARER)
    assert house.spread() == [None] * 3
    assert SECRET not in (shared / SAVED_TOKEN).read_text()


def test_a_person_is_obeyed_although_a_service_heard_from_a_clock_ahead(admin: Any, house: House) -> None:
    ahead = GivenToken("hf_from-a-lost-app", 2**50)
    keep_token(house.folder / "gpt-b" / SAVED_TOKEN, ahead)
    admin.post(ADDRESS, json={"token": SECRET}, headers=BEARER)
    for name in ("app", "gpt", "gpt-b", "asr", "diarize"):
        kept = house.kept(name)
        assert kept is not None
        assert (kept.token, kept.since > ahead.since) == (SECRET, True)


def test_a_token_of_before_is_passed_on_too(admin: Any, house: House) -> None:
    (house.folder / "app" / SAVED_TOKEN).write_text(SECRET)  # one line: what earlier versions wrote
    assert house.spread() == [None] * 4
    kept = house.kept("gpt-b")
    assert kept is not None
    assert kept.token == SECRET
    assert admin.get("/api/admin/status", headers=BEARER).json["huggingface_token"] is True


def test_a_default_that_failed_is_tried_again_with_the_token(admin: Any, house: House) -> None:
    admin.post(ADDRESS, json={"token": SECRET}, headers=BEARER)
    assert house.registry.starts == 0
    house.registry._state = "error"
    admin.post(ADDRESS, json={"token": ""}, headers=BEARER)
    assert house.registry.starts == 0
    admin.post(ADDRESS, json={"token": SECRET}, headers=BEARER)
    assert house.registry.starts == 4
    house.spread()  # who knows it already is not disturbed
    assert house.registry.starts == 4


@pytest.mark.parametrize("token", [[SECRET], f"{SECRET}\nx", f"{SECRET} x", f"{SECRET}é", SECRET * 100, 7, None])
def test_a_wrong_body_does_not_echo_the_secret(token: Any, admin: Any, house: House) -> None:
    answer = admin.post(ADDRESS, json={"token": token}, headers=BEARER)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "token")
    assert SECRET.encode() not in answer.data
    assert house.kept("app") is None
