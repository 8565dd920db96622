"""GET /v1/models, /api/models, /ready: what there is and what state it is in."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest
from flask.testing import FlaskClient
from flask_openapi import OpenAPI

from common.models.registry import Registry
from gpt.engines.base import LanguageEngine
from gpt.factory import create_app, create_registry
from tests.gpt.conftest import settings_for, wait_until


@pytest.fixture
def client(llama_app: OpenAPI) -> FlaskClient:
    return llama_app.test_client()


def test_the_openai_client_lists_what_is_here(llama_app: OpenAPI, serve: object) -> None:
    client = openai.OpenAI(base_url=f"{serve(llama_app)}/v1", api_key="none")  # type: ignore[operator]
    models = list(client.models.list())
    assert models[0].id == "tiny-llama"
    assert models[0].owned_by == "frigo"
    shown = models[0].model_dump()
    assert (shown["state"], shown["embedded"], shown["context"], shown["family"]) == ("ready", False, 256, "llama")
    assert shown["parent"] is None
    assert "gpt2" not in [model.id for model in models]  # not on this machine
    assert client.models.retrieve("phi2").id == "phi-2"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_the_catalogue_and_the_choice_are_shown(client: FlaskClient) -> None:
    shown = client.get("/api/models").json
    assert shown is not None
    states = {model["key"]: model["state"] for model in shown["models"]}
    assert states["tiny-llama"] == "ready"
    assert states["gpt2"] == "idle"
    assert shown["selection"]["chosen"] == "tiny-llama"
    assert "IA_MODEL" in shown["selection"]["why"]


def test_the_service_is_ready_with_its_model(client: FlaskClient) -> None:
    assert client.get("/ready").status_code == 200
    assert client.get("/health").status_code == 200


def test_a_model_too_big_is_refused_at_once_and_the_other_serves_on(client: FlaskClient) -> None:
    answer = client.post("/api/models/qwen/load")  # 31 billion parameters
    assert answer.status_code == 507
    assert answer.json is not None
    error = answer.json["error"]
    assert error["code"] == "model_does_not_fit"
    assert "qwen3-vl-30b" in error["message"]
    assert sum(word.replace(",", "").isdigit() for word in error["message"].split()) >= 1
    again = client.post("/v1/completions", json={"prompt": "Le", "max_tokens": 1})
    assert again.status_code == 200


def test_unload_and_load_again(tiny_llama: Path, tmp_path: Path) -> None:
    settings = settings_for(tiny_llama, tmp_path, ia_engine="ctranslate2")
    registry: Registry[LanguageEngine] = create_registry(settings)
    client = create_app(settings, registry).test_client()
    ask = {"messages": [{"role": "user", "content": "Bonjour"}], "max_tokens": 2}
    registry.start()
    wait_until(lambda: registry.state("tiny-llama") == "ready")
    assert client.post("/v1/chat/completions", json=ask).status_code == 200
    assert client.post("/api/models/tiny-llama/unload").status_code == 202
    wait_until(lambda: registry.state("tiny-llama") == "downloaded")
    assert client.post("/v1/chat/completions", json=ask).status_code == 200  # loads it again, and waits for it
    assert registry.state("tiny-llama") == "ready"
    registry.close()


def test_a_call_that_may_not_wait_is_told_when_to_come_back(tiny_llama: Path, tmp_path: Path) -> None:
    settings = settings_for(tiny_llama, tmp_path, ia_engine="ctranslate2", ia_swap_wait_s=0)
    registry: Registry[LanguageEngine] = create_registry(settings)
    client = create_app(settings, registry).test_client()
    ask = {"messages": [{"role": "user", "content": "Bonjour"}], "max_tokens": 2}
    waiting = client.post("/v1/chat/completions", json=ask)
    assert waiting.status_code == 503
    assert waiting.json is not None
    assert waiting.json["error"]["code"] == "model_not_ready"
    assert waiting.json["error"]["model"]["key"] == "tiny-llama"
    assert waiting.headers["Retry-After"]
    wait_until(lambda: registry.state("tiny-llama") == "ready")
    assert client.post("/v1/chat/completions", json=ask).status_code == 200
    registry.close()


def test_a_refused_request_keeps_no_hold_on_the_model(
    llama_registry: Registry[LanguageEngine], client: FlaskClient
) -> None:
    for body in ({"prompt": "x " * 999}, {"prompt": "Le", "structured_outputs": {"regex": "("}}):
        assert client.post("/v1/completions", json=body).status_code == 400
    assert client.post("/v1/completions", json={"prompt": "Le", "max_tokens": 2, "stream": True}).status_code == 200
    wait_until(lambda: llama_registry.calls("tiny-llama") == (0, 0))


def test_only_services_get_in_when_there_is_a_service_token(
    llama_registry: Registry[LanguageEngine], tmp_path: Path
) -> None:
    client = create_app(settings_for("auto", tmp_path, service_token="secret"), llama_registry).test_client()
    ask = {"prompt": "Le", "max_tokens": 1}
    assert client.get("/health").status_code == 200
    for token in ("", "wrong"):
        assert client.post("/v1/completions", json=ask, headers={"X-Service-Token": token}).status_code == 401
        assert client.get("/v1/models", headers={"X-Service-Token": token}).status_code == 401
    assert client.post("/v1/completions", json=ask, headers={"X-Service-Token": "secret"}).status_code == 200


def test_the_endpoints_are_documented(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document is not None
    assert {"/v1/chat/completions", "/v1/completions", "/v1/models", "/api/models"} <= set(document["paths"])
    body = document["paths"]["/v1/chat/completions"]["post"]["requestBody"]
    assert "application/json" in body["content"]
