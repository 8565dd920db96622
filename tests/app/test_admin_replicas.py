"""Several replicas of a service in the supervision: each is asked for what is asked, each is seen, each can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

from app.factory import create_app
from app.settings import AppSettings
from common.settings import load
from tests.app.fakes import ADMIN, SERVICE

BEARER = {"Authorization": f"Bearer {ADMIN}"}


@dataclass
class Replica:
    """A service that has two models, and does to them what it is asked."""

    name: str
    states: dict[str, str] = field(default_factory=lambda: {"mini": "ready", "org/model": "idle"})
    shown: dict[str, Any] = field(default_factory=dict)
    """Fields of all its models."""
    refusal: tuple[int, str] | None = None
    calls: list[str] = field(default_factory=list)
    adapters: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def app(self) -> Flask:
        app = Flask(self.name)

        @app.get("/health")
        @app.get("/ready")
        def up() -> dict[str, str]:
            return {"status": "ok"}

        @app.get("/api/models")
        def models() -> dict[str, Any]:
            shown = [
                {"key": key, "aliases": [], "state": s, "fits": True} | self.shown for key, s in self.states.items()
            ]
            chosen = next((key for key, state in self.states.items() if state == "ready"), None)
            return {"models": shown, "selection": {"chosen": chosen}, "engines": []}

        @app.post("/api/models/<path:key>/<action>")
        def act(key: str, action: str) -> tuple[dict[str, Any], int]:
            self.calls.append(f"{action} {key} {request.get_data(as_text=True)}".strip())
            if self.refusal is not None:
                status, code = self.refusal
                return {"error": {"message": f"{self.name} refuse", "code": code, "need_bytes": 9}}, status
            self.states[key] = {"load": "ready", "unload": "downloaded"}.get(action, "downloading")
            return {"key": key, "state": self.states[key]}, 202

        @app.get("/api/adapters")
        def adapters() -> dict[str, Any]:
            return {"adapters": [{"name": name, "parent": "mini", "state": s} for name, s in self.adapters.items()]}

        @app.post("/api/adapters")
        @app.delete("/api/adapters/<name>")
        def change(name: str = "") -> tuple[dict[str, Any], int]:
            self.calls.append(f"{request.method} {name or request.get_json()}")
            assert request.headers["X-Service-Token"] == SERVICE
            assert "Authorization" not in request.headers
            if self.refusal is not None:
                status, code = self.refusal
                return {"error": {"message": f"{self.name} refuse", "code": code}}, status
            if name:
                del self.adapters[name]
                return {"name": name, "state": "unloading"}, 202
            self.adapters[request.get_json()["name"]] = "ready"
            return {"name": request.get_json()["name"], "state": "ready"}, 201

        return app


@pytest.fixture
def replicas(serve: Callable[..., str]) -> list[Replica]:
    found = [Replica("gpt"), Replica("gpt-b")]
    for replica in found:
        replica.url = serve(replica.app())
    return found


@pytest.fixture
def opened(serve: Callable[..., str], tmp_path: Path) -> Callable[..., Any]:
    def client(*gpt: str) -> Any:
        settings = load(
            AppSettings, data_dir=tmp_path, admin_token=ADMIN, service_token=SERVICE, gpt_api_url=",".join(gpt),
            chat_api_url=serve(Flask("chat")), asr_api_url=serve(Replica("asr", {"canary": "idle"}).app()),
            diarize_api_url=serve(Replica("diarize", {"pyannote": "idle"}).app()),
        )  # fmt: skip
        return create_app(settings).test_client()

    return client


def gpt_of(client: Any) -> dict[str, Any]:
    shown = client.get("/api/admin/status", headers=BEARER).json["services"]
    return next(service for service in shown if service["name"] == "gpt")


def model_of(client: Any, key: str) -> dict[str, Any]:
    return next(model for model in gpt_of(client)["models"] if model["key"] == key)


@pytest.mark.parametrize("action", ["download", "load", "unload", "cancel"])
def test_each_replica_does_what_is_asked(action: str, replicas: list[Replica], opened: Callable[..., Any]) -> None:
    answer = opened(*(one.url for one in replicas)).post(f"/api/admin/models/org/model/{action}", headers=BEARER)
    assert answer.status_code == 202
    assert [one.calls for one in replicas] == [[f"{action} org/model"]] * 2
    assert answer.json["service"] == "gpt"
    assert answer.json["warnings"] == []
    assert [one["url"] for one in answer.json["replicas"]] == [one.url for one in replicas]
    assert answer.json["model"] == answer.json["replicas"][0]["model"]


def test_the_options_reach_each_of_them(replicas: list[Replica], opened: Callable[..., Any]) -> None:
    client = opened(*(one.url for one in replicas))
    client.post("/api/admin/models/mini/load", json={"quantization": "int8"}, headers=BEARER)
    assert [one.calls for one in replicas] == [['load mini {"quantization": "int8"}']] * 2


def test_one_that_refuses_is_named_and_the_other_goes_on(replicas: list[Replica], opened: Callable[..., Any]) -> None:
    first, second = replicas
    first.refusal = (507, "model_does_not_fit")
    client = opened(first.url, second.url)
    answer = client.post("/api/admin/models/org/model/load", headers=BEARER)
    assert answer.status_code == 202
    assert answer.json["model"]["state"] == "ready"
    assert answer.json["warnings"] == [f"gpt ({first.url}) : gpt refuse"]
    assert answer.json["replicas"][0]["error"]["code"] == "model_does_not_fit"
    assert answer.json["replicas"][0]["error"]["need_bytes"] == 9
    assert answer.json["replicas"][1] == {"url": second.url, "model": {"key": "org/model", "state": "ready"}}
    shown = model_of(client, "org/model")
    assert shown["state"] == "ready"
    assert [(one["url"], one["state"]) for one in shown["replicas"]] == [(first.url, "idle"), (second.url, "ready")]


def test_the_refusal_of_all_is_the_answer(replicas: list[Replica], opened: Callable[..., Any]) -> None:
    for one in replicas:
        one.refusal = (507, "model_does_not_fit")
    answer = opened(*(one.url for one in replicas)).post("/api/admin/models/mini/load", headers=BEARER)
    assert (answer.status_code, answer.json["error"]["code"]) == (507, "model_does_not_fit")


def test_one_that_does_not_answer_is_named(replicas: list[Replica], opened: Callable[..., Any], free_port: int) -> None:
    absent = f"http://127.0.0.1:{free_port}"
    client = opened(absent, replicas[0].url)
    answer = client.post("/api/admin/models/org/model/load", headers=BEARER)
    assert answer.status_code == 202
    assert answer.json["replicas"][0]["error"]["code"] == "peer_unavailable"
    (warning,) = answer.json["warnings"]
    assert absent in warning
    gpt = gpt_of(client)
    assert (gpt["state"], gpt["url"]) == ("up", replicas[0].url)
    assert [(one["url"], one["state"], one["chosen"]) for one in gpt["replicas"]] == [
        (absent, "down", None), (replicas[0].url, "up", "mini"),
    ]  # fmt: skip
    assert client.get("/api/status").json["services"][1] == {"name": "gpt", "state": "up"}
    assert client.post("/api/admin/models/mini/load?service=asr", headers=BEARER).json["service"] == "asr"


def test_nobody_who_answers_is_a_service_that_does_not(opened: Callable[..., Any], free_port: int) -> None:
    answer = opened(f"http://127.0.0.1:{free_port}").post("/api/admin/models/mini/load", headers=BEARER)
    assert (answer.status_code, answer.json["error"]["service"]) == (503, "gpt")


def test_what_is_the_same_everywhere_is_shown_once(replicas: list[Replica], opened: Callable[..., Any]) -> None:
    client = opened(*(one.url for one in replicas))
    gpt = gpt_of(client)
    assert [(model["key"], model["state"]) for model in gpt["models"]] == [("mini", "ready"), ("org/model", "idle")]
    assert not any("replicas" in model for model in gpt["models"])
    assert [one["state"] for one in gpt["replicas"]] == ["up", "up"]
    alone = opened(replicas[0].url)
    assert "replicas" not in gpt_of(alone)


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ({"state": "ready"}, {"state": "downloading", "progress": 0.2}, {"state": "downloading", "progress": 0.2}),
        ({"state": "downloading", "progress": 0.9}, {"state": "downloading", "progress": 0.1}, {"progress": 0.1}),
        ({"state": "ready"}, {"state": "error", "error": "Cassé."}, {"state": "ready", "error": "Cassé."}),
        ({"state": "idle"}, {"state": "downloaded"}, {"state": "downloaded"}),
        ({"fits": False, "reason": "Trop grand."}, {"reason": None}, {"fits": True, "reason": None}),
        ({"fits": False, "reason": "Trop grand."}, {"fits": False, "reason": "Trop grand."}, {"fits": False}),
    ],
)
def test_states_that_differ_are_summed(
    first: dict[str, Any], second: dict[str, Any], shown: dict[str, Any], replicas: list[Replica],
    opened: Callable[..., Any],
) -> None:  # fmt: skip
    replicas[0].shown, replicas[1].shown = first, second
    model = model_of(opened(*(one.url for one in replicas)), "mini")
    assert shown.items() <= model.items()
    states = [{"state": "ready"} | fields for fields in (first, second)]
    if states[0]["state"] != states[1]["state"]:
        assert [one["state"] for one in model["replicas"]] == [one["state"] for one in states]
    else:
        assert "replicas" not in model


def test_a_model_that_one_knows_is_shown_as_its_own(replicas: list[Replica], opened: Callable[..., Any]) -> None:
    replicas[1].states["only/here"] = "ready"
    client = opened(*(one.url for one in replicas))
    assert [one["url"] for one in model_of(client, "only/here")["replicas"]] == [replicas[1].url]


def test_an_adapter_is_added_to_and_taken_from_each(replicas: list[Replica], opened: Callable[..., Any]) -> None:
    client = opened(*(one.url for one in replicas))
    body = {"name": "poésie", "source": "moi/poesie"}
    added = client.post("/api/admin/adapters", json=body, headers=BEARER)
    assert (added.status_code, added.json) == (201, {"name": "poésie", "state": "ready", "warnings": []})
    assert [one.calls for one in replicas] == [[f"POST {body}"]] * 2
    shown = client.get("/api/admin/adapters", headers=BEARER).json["adapters"]
    assert shown == [{"name": "poésie", "parent": "mini", "state": "ready"}]
    assert client.delete("/api/admin/adapters/poésie", headers=BEARER).status_code == 202
    assert [one.adapters for one in replicas] == [{}, {}]


def test_an_adapter_that_one_refuses_is_the_others(
    replicas: list[Replica], opened: Callable[..., Any], free_port: int
) -> None:
    absent = f"http://127.0.0.1:{free_port}"
    replicas[1].refusal = (422, "adapter_unusable")
    client = opened(absent, *(one.url for one in replicas))
    added = client.post("/api/admin/adapters", json={"name": "a", "source": "b/c"}, headers=BEARER)
    assert (added.status_code, added.json["state"]) == (201, "ready")
    assert [warning.split(" :")[0] for warning in added.json["warnings"]] == [
        f"gpt ({absent})", f"gpt ({replicas[1].url})",
    ]  # fmt: skip
    (shown,) = client.get("/api/admin/adapters", headers=BEARER).json["adapters"]
    assert shown["replicas"] == [{"url": replicas[0].url, "state": "ready"}]
    replicas[0].refusal = (409, "adapter_declared")
    refused = client.delete("/api/admin/adapters/a", headers=BEARER)
    assert (refused.status_code, refused.json["error"]["code"]) == (409, "adapter_declared")


def test_adapters_of_nobody_are_a_service_that_does_not_answer(opened: Callable[..., Any], free_port: int) -> None:
    client = opened(f"http://127.0.0.1:{free_port}", f"http://localhost:{free_port}")
    for answer in (
        client.get("/api/admin/adapters", headers=BEARER),
        client.delete("/api/admin/adapters/a", headers=BEARER),
    ):
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "peer_unavailable")
