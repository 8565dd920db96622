"""A model of the hub that no catalogue lists, loaded by its id while gpt runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from gpt.factory import create_app, create_registry
from tests.gpt.conftest import settings_for, wait_until
from tests.hub_server import Fault, HubServer

REPO = "someone/tiny-thing_2.0"


@pytest.fixture
def hub(tiny_gpt2: Path, tmp_path: Path) -> Iterator[HubServer]:
    server = HubServer({REPO: shutil.copytree(tiny_gpt2, tmp_path / "repo"), "someone/closed": tiny_gpt2}).start()
    server.faults.append(Fault("someone/closed", status=403, error_code="GatedRepo"))
    yield server
    server.stop()


@pytest.fixture
def client(hub: HubServer, tiny_llama: Path, tmp_path: Path) -> Iterator[FlaskClient]:
    settings = settings_for(
        tiny_llama, tmp_path / "cache", hf_endpoint=hub.url, ia_engine="transformers", data_dir=tmp_path
    )
    registry = create_registry(settings, isolate=False)
    app = create_app(settings, registry).test_client()
    registry.start()
    wait_until(lambda: registry.ready() == {"model": "ready"}, 60)
    hub.seen.clear()
    yield app
    registry.close()


def models(client: FlaskClient) -> dict[str, Any]:
    shown = client.get("/api/models").json
    assert shown is not None
    return {model["key"]: model for model in shown["models"]}


def test_any_hub_id_is_loaded_and_becomes_the_default(client: FlaskClient) -> None:
    answer = client.post(f"/api/models/{REPO}/load")
    assert answer.status_code == 202, answer.json
    assert answer.json is not None
    assert (answer.json["key"], answer.json["family"], answer.json["context"]) == (REPO, "gpt2", 256)
    assert answer.json["parameters"] > 0
    assert answer.json["need_bytes"] > 0
    wait_until(lambda: models(client)[REPO]["state"] == "ready", 60)
    said = client.post("/v1/completions", json={"prompt": "x", "max_tokens": 1}).json
    assert said is not None
    assert said["model"] == REPO
    shown = models(client)[REPO]
    assert (shown["engine"], shown["quantization"]) == ("transformers", "none")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("someone/absent", 404, "hub_not_found"),
        ("someone/closed", 403, "hub_gated"),
        ("nothing", 404, "model_not_found"),
        ("../etc", 404, "model_not_found"),
        ("a/b/c", 404, "model_not_found"),
        (f"{'a' * 150}/{'b' * 60}", 404, "model_not_found"),
    ],
)
def test_what_cannot_be_had_is_refused_and_not_listed(client: FlaskClient, name: str, status: int, code: str) -> None:
    before = models(client).keys()
    answer = client.post(f"/api/models/{name}/load")
    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert models(client).keys() == before


def test_a_request_to_v1_never_asks_the_hub(client: FlaskClient, hub: HubServer) -> None:
    assert client.post("/v1/completions", json={"model": REPO, "prompt": "x"}).status_code == 404
    assert client.post(f"/api/models/{REPO}/unload").status_code == 404
    assert hub.seen == []
