"""/v1 in process: keys, bodies passed through untouched, errors as gpt gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask, jsonify, request
from flask.testing import FlaskClient

from tests.chat.fake_gpt import FakeGpt

CHAT = {"model": "frigo-mini", "messages": [{"role": "user", "content": "Où est l'été ?"}]}


def test_a_chat_turn_goes_to_gpt_byte_for_byte(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue("Ici.")
    sent = '{ "model":"frigo-mini",  "messages":[{"role":"user","content":"é"}], "unknown": {"kept": 1} }'.encode()
    answer = client.post("/v1/chat/completions", data=sent, content_type="application/json")
    assert answer.status_code == 200
    assert answer.json["choices"][0]["message"]["content"] == "Ici."
    assert answer.json["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert gpt.raw == [sent]
    assert gpt.headers[0]["X-Request-Id"] == answer.headers["X-Request-ID"]


def test_completions_go_to_gpt_too(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue("suite")
    assert client.post("/v1/completions", json={"prompt": "x"}).status_code == 200
    assert gpt.requests == [{"prompt": "x"}]


def test_a_stream_comes_as_gpt_writes_it(client: FlaskClient) -> None:
    answer = client.post("/v1/chat/completions", json={**CHAT, "stream": True, "max_tokens": 3})
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["X-Accel-Buffering"] == "no"
    events = answer.get_data(as_text=True).split("\n\n")
    assert [json.loads(e[6:])["choices"][0]["delta"]["content"] for e in events[:3]] == ["é0 ", "é1 ", "é2 "]
    assert events[3:] == ["data: [DONE]", ""]


def test_errors_of_gpt_come_back_as_they_are(client: FlaskClient, gpt: FakeGpt) -> None:
    refusal = {"error": {"message": "max_tokens", "type": "invalid_request_error", "param": "max_tokens", "code": "x"}}
    gpt.enqueue((400, refusal))
    answer = client.post("/v1/chat/completions", json=CHAT)
    assert (answer.status_code, answer.json) == (400, refusal)


@pytest.mark.parametrize("data", [b"{", b"", b"\xff", b"[]"])
def test_wrong_json_is_gpts_400(client: FlaskClient, data: bytes) -> None:
    answer = client.post("/v1/chat/completions", data=data, content_type="application/json")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_json")


def test_a_body_that_is_not_json_is_refused_here(client: FlaskClient, gpt: FakeGpt) -> None:
    assert client.post("/v1/chat/completions", data=b"x", content_type="text/plain").status_code == 415
    assert client.post("/v1/chat/completions", data=b"").status_code == 400
    assert gpt.raw == []


def test_models_are_gpts(client: FlaskClient) -> None:
    assert [model["id"] for model in client.get("/v1/models").json["data"]] == ["frigo-mini", "qwen3-4b"]
    assert client.get("/v1/models/qwen").json["id"] == "qwen3-4b"
    missing = client.get("/v1/models/org/a%20b")
    assert (missing.status_code, missing.json["error"]["code"]) == (404, "model_not_found")
    assert missing.json["error"]["message"] == "Modèle inconnu : org/a b"


@pytest.mark.parametrize("name", ["..", "../../api/models", "..%2F..%2Fapi%2Fmodels", "x/../../../ready", "%2e%2e"])
def test_a_model_name_leads_nowhere_else(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/v1/models/{name}")
    assert answer.status_code in {404, 308}


@pytest.mark.parametrize("name", ["../../api/models", "?x", "a#b", "é"])
def test_nor_does_the_model_of_a_diagram(client: FlaskClient, name: str) -> None:
    answer = client.post("/api/diagrams", json={"text": "Il range la caisse.", "model": name})
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "model_not_found")


def test_without_keys_v1_is_open(client: FlaskClient) -> None:
    assert client.get("/v1/models").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer k"},
        {"Authorization": "Bearer k11"},
        {"Authorization": "Bearer clé"},
        {"Authorization": "Basic k1"},
        {"Authorization": "k1"},
        {"X-Service-Token": "k1"},
        {"X-Service-Token": ""},
    ],
)
def test_a_wrong_key_is_refused_as_openai_does(
    make_client: Callable[..., FlaskClient], headers: dict[str, str]
) -> None:
    client = make_client(openai_api_keys="k1,k2", service_token="s3cret")
    for path in ("/v1/models", "/v1/models/x", "/v1/chat/completions", "/v1/completions", "/v1/audio/transcriptions"):
        method = client.get if "models" in path else client.post
        answer = method(path, headers=headers)
        assert answer.status_code == 401
        error = answer.json["error"]
        assert (error["code"], error["type"], error["param"]) == ("invalid_api_key", "authentication_error", None)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_every_right_key_and_the_services_pass(make_client: Callable[..., FlaskClient], gpt: FakeGpt) -> None:
    client = make_client(openai_api_keys="k1,k2", service_token="s3cret")
    for headers in ({"Authorization": "Bearer k1"}, {"Authorization": "bearer k2"}, {"X-Service-Token": "s3cret"}):
        assert client.post("/v1/chat/completions", json=CHAT, headers=headers).status_code == 200
    for received in gpt.headers:  # gpt trusts the services' token, and never sees a client's key
        assert received["X-Service-Token"] == "s3cret"
        assert "Authorization" not in received


def test_a_peer_that_is_down_is_named(make_client: Callable[..., FlaskClient], free_port: int) -> None:
    nowhere = f"http://127.0.0.1:{free_port}"
    client = make_client(gpt_api_url=nowhere, asr_api_url=nowhere)
    for answer, service in (
        (client.post("/v1/chat/completions", json=CHAT), "gpt"),
        (client.post("/v1/chat/completions", json={**CHAT, "stream": True}), "gpt"),
        (client.get("/v1/models"), "gpt"),
        (client.post("/v1/audio/transcriptions", data={"file": (BytesIO(b"x"), "a.wav")}), "asr"),
    ):
        assert answer.status_code == 503
        assert (answer.json["error"]["code"], answer.json["error"]["service"]) == ("peer_unavailable", service)
        assert "Retry-After" in answer.headers


def _asr() -> tuple[Flask, list[dict[str, Any]]]:
    app, seen = Flask("fake_asr"), []

    @app.post("/v1/audio/transcriptions")
    @app.post("/v1/audio/translations")
    def transcribe() -> Any:
        file = request.files["file"]
        seen.append({"path": request.path, "name": file.filename, "size": len(file.read()), **request.form})
        return jsonify(text="bonjour")

    return app, seen


def test_recordings_go_to_asr_whole(make_client: Callable[..., FlaskClient], serve: Callable[..., str]) -> None:
    asr, seen = _asr()
    client = make_client(asr_api_url=serve(asr))
    form = {"model": "whisper-1", "language": "fr"}
    for kind in ("transcriptions", "translations"):
        upload = {**form, "file": (BytesIO(bytes(3_000_000)), "réunion.wav")}
        answer = client.post(f"/v1/audio/{kind}", data=upload)
        assert (answer.status_code, answer.json) == (200, {"text": "bonjour"})
    assert seen[0] == {"path": "/v1/audio/transcriptions", "name": "réunion.wav", "size": 3_000_000, **form}
    assert seen[1]["path"] == "/v1/audio/translations"


def test_an_upload_over_the_limit_is_refused(
    make_client: Callable[..., FlaskClient], serve: Callable[..., str]
) -> None:
    asr, seen = _asr()
    client = make_client(asr_api_url=serve(asr), max_upload_mb=1)
    answer = client.post("/v1/audio/transcriptions", data={"file": (BytesIO(bytes(1_200_000)), "a.wav")})
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "upload_too_large")
    assert seen == []


def test_models_are_not_deleted_by_clients(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(model_aliases={"gpt-4o-mini": "qwen3-4b", "*": "default"})
    for known in ("frigo-mini", "qwen", "gpt-4o-mini"):
        refused = client.delete(f"/v1/models/{known}")
        assert (refused.status_code, refused.json["error"]["type"]) == (403, "permission_error")
    unknown = client.delete("/v1/models/ft:gpt-4o-mini:acemeco:suffix:abc123")
    assert (unknown.status_code, unknown.json["error"]["code"]) == (404, "model_not_found")


def test_speech_synthesis_says_that_there_is_none(client: FlaskClient) -> None:
    refused = client.post("/v1/audio/speech", json={"input": "Bonjour", "model": "tts-1", "voice": "alloy"})
    assert (refused.status_code, refused.json["error"]["code"]) == (404, "model_not_found")
