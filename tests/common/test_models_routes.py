"""``/api/models``: actions, the optional body of a load, and the stream of events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.messages import Text
from common.models.registry import Registry
from common.models.routes import models_blueprint
from common.settings import ServiceSettings
from common.web.factory import create_service
from tests.common.lifecycle_fakes import FakeEngine, Machine, entry, registry_of, until, until_state


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def registry(machine: Machine) -> Iterator[Registry[FakeEngine]]:
    options = frozenset({"gpu_device_ids", "quantization"})
    registry = registry_of(
        machine, entry("a", 10), entry("org/b", 10, "b"), entry("huge", 999), here=False, options=options
    )
    yield registry
    registry.close()


@pytest.fixture
def client(registry: Registry[FakeEngine]) -> FlaskClient:
    app = create_service("gpt", ServiceSettings(port=5002), ready=registry.ready)
    app.register_api(models_blueprint(registry))
    return app.test_client()


def test_the_list_has_every_field_of_the_contract(client: FlaskClient) -> None:
    shown = client.get("/api/models").json
    assert shown is not None
    assert [model["key"] for model in shown["models"]] == ["a", "org/b", "huge"]
    assert shown["models"][0].keys() >= {
        "key", "aliases", "hub_id", "family", "parameters", "context", "licence", "gated", "languages", "vision",
        "embedded", "state", "progress", "bytes_done", "bytes_total", "error", "need_bytes", "resident_bytes", "fits",
        "reason", "engine", "quantization", "rank", "parent", "options",
    }  # fmt: skip
    assert shown["selection"].keys() == {"chosen", "why", "available_bytes", "rejected"}


def test_a_model_is_fetched_loaded_and_unloaded(
    client: FlaskClient, registry: Registry[FakeEngine], machine: Machine
) -> None:
    answer = client.post("/api/models/b/download")
    assert (answer.status_code, answer.json and answer.json["key"]) == (202, "org/b")
    until_state(registry, "b", "downloaded")
    assert client.post("/api/models/org/b/load").status_code == 202
    until_state(registry, "b", "ready")
    shown = client.get("/api/models").json
    assert shown is not None
    assert shown["selection"]["chosen"] == "org/b"
    assert shown["models"][1]["resident_bytes"] == 10
    assert client.post("/api/models/org/b/unload").status_code == 202
    until_state(registry, "b", "downloaded")
    assert machine.engines == []


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({"json": {"gpu_device_ids": [0, 1]}}, {"gpu_device_ids": [0, 1]}),
        ({"json": {"gpu_device_ids": [1], "quantization": "int8"}}, {"gpu_device_ids": [1], "quantization": "int8"}),
        ({"json": {"gpu_device_ids": []}}, {"gpu_device_ids": []}),
        ({"json": {"quantization": None}}, {}),
        ({"json": {}}, {}),
        ({"data": b""}, {}),
        ({}, {}),
    ],
)  # fmt: skip
def test_the_options_of_a_load_reach_the_engine(
    client: FlaskClient, registry: Registry[FakeEngine], machine: Machine, body: dict[str, Any], options: dict[str, Any]
) -> None:
    assert client.post("/api/models/a/load", **body).status_code == 202
    until_state(registry, "a", "ready")
    assert machine.engines[0].options == options
    assert registry.status("a")["options"] == options


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"json": {"tensor_parallel": 2}}, "tensor_parallel"),
        ({"json": {"quantization": "int3"}}, "quantization"),
        ({"json": {"gpu_device_ids": [-1]}}, "gpu_device_ids[0]"),
        ({"json": {"gpu_device_ids": ["0"]}}, "gpu_device_ids[0]"),
        ({"json": [1]}, None),
        ({"data": b"{", "content_type": "application/json"}, None),
        ({"data": b"null", "content_type": "application/json"}, None),
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused_by_name(
    client: FlaskClient, registry: Registry[FakeEngine], body: dict[str, Any], param: str | None
) -> None:
    answer = client.post("/api/models/a/load", **body)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["param"] == param
    assert registry.state("a") == "idle"


def test_what_does_not_fit_is_507_with_both_numbers(client: FlaskClient) -> None:
    answer = client.post("/api/models/huge/load")
    assert answer.status_code == 507
    assert answer.json is not None
    assert answer.json["error"]["code"] == "model_does_not_fit"
    assert "999" in answer.json["error"]["message"]
    assert "100" in answer.json["error"]["message"]


def test_a_download_is_cancelled(client: FlaskClient, registry: Registry[FakeEngine], machine: Machine) -> None:
    gate = machine.gate("download a").shut()
    client.post("/api/models/a/download")
    assert gate.reached.wait(30)
    answer = client.post("/api/models/a/cancel")
    assert (answer.status_code, answer.json and answer.json["state"]) == (202, "downloading")
    gate.set()
    until_state(registry, "a", "idle")
    assert client.post("/api/models/a/cancel").status_code == 202  # nothing to stop: nothing happens
    assert registry.state("a") == "idle"


def test_events_stream_states_and_snapshots(client: FlaskClient, registry: Registry[FakeEngine]) -> None:
    answer = client.get("/api/models/events", buffered=False)
    stream = answer.iter_encoded()
    assert next(stream).startswith(b"event: models\n")
    registry.load("a")
    states = []
    for chunk in stream:
        if chunk.startswith(b"event: state\n"):
            states.append(json.loads(chunk.split(b"data: ")[1])["state"])
        if states[-1:] == ["ready"]:
            break
    assert states == ["downloading", "downloaded", "loading", "ready"]
    answer.close()
    ledger = registry._ledger
    until(registry, lambda: not ledger.changed._waiters or len(ledger.changed._waiters) <= 1, "the reader's end")  # type: ignore[attr-defined]


def test_the_actions_are_documented(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document is not None
    assert {f"/api/models/{{key}}/{action}" for action in ("download", "load", "unload", "cancel")} <= set(
        document["paths"]
    )
    body = document["paths"]["/api/models/{key}/load"]["post"]["requestBody"]
    assert "LoadOptions" in json.dumps(body)


def test_the_reasons_of_the_selection_are_told(client: FlaskClient, registry: Registry[FakeEngine]) -> None:
    reason = Text("Trop grand.")
    rejected = ({"key": "huge", "need_bytes": 999, "reason": reason},)
    registry._ledger.selection = replace(registry.selection, rejected=rejected)
    shown = client.get("/api/models").json
    assert shown is not None
    assert shown["selection"]["rejected"] == [{"key": "huge", "need_bytes": 999, "reason": "Trop grand."}]
