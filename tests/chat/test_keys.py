"""Keys made in the dashboard: made, shown once, checked, limited, changed, revoked at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify, request
from flask.testing import FlaskClient

from tests.chat.fake_gpt import FakeGpt

SERVICE = {"X-Service-Token": "s3cret"}
CHAT = {"messages": [{"role": "user", "content": "Où est l'été ?"}]}
Make = Callable[..., FlaskClient]


@pytest.fixture
def client(make_client: Make) -> FlaskClient:
    return make_client(service_token="s3cret")


def make(client: FlaskClient, **values: Any) -> tuple[str, dict[str, str]]:
    """A new key's id, and the headers of who holds it."""
    answer = client.post("/api/keys", json={"name": "Atelier", **values}, headers=SERVICE)
    assert answer.status_code == 201, answer.json
    return answer.json["id"], {"Authorization": f"Bearer {answer.json['key']}"}


def ask(client: FlaskClient, headers: dict[str, str], **body: Any) -> Any:
    return client.post("/v1/chat/completions", json={**CHAT, **body}, headers=headers)


def shown(client: FlaskClient, key_id: str) -> dict[str, Any]:
    keys = client.get("/api/keys", headers=SERVICE).json["keys"]
    return next(key for key in keys if key["id"] == key_id)


def test_a_key_is_shown_once_and_opens_v1(client: FlaskClient) -> None:
    assert ask(client, {}).status_code == 200  # nothing guards /v1 yet
    answer = client.post("/api/keys", json={"name": " Atelier "}, headers=SERVICE)
    made = answer.json
    key = made.pop("key")
    assert answer.headers["Cache-Control"] == "no-store"
    assert key.startswith(f"sk-frigo-{made['id']}-")
    assert made == shown(client, made["id"])
    assert (made["name"], made["state"]) == ("Atelier", "active")
    assert key.startswith(made["prefix"].removesuffix("…"))
    assert ask(client, {"Authorization": f"Bearer {key}"}).status_code == 200
    for wrong in ("", key[:-1], key[:-1] + ("a" if key[-1] != "a" else "b"), key.upper(), "sk-frigo-" + "0" * 16):
        refused = ask(client, {"Authorization": f"Bearer {wrong}"} if wrong else {})
        error = refused.json["error"]
        assert (refused.status_code, error["code"], error["type"]) == (401, "invalid_api_key", "authentication_error")


def test_nothing_on_disk_gives_the_key_back(client: FlaskClient, tmp_path: Path) -> None:
    _id, holder = make(client)
    secret = holder["Authorization"].split("-", 3)[3]
    ask(client, holder)
    written = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert b"Atelier" in written
    assert secret.encode() not in written


def test_no_log_says_a_key(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        _id, holder = make(client, requests_per_minute=1)
        for _ in range(2):
            ask(client, holder)
    secret = holder["Authorization"].split("-", 3)[3]
    assert caplog.records
    assert not [record for record in caplog.records if secret in str(vars(record))]


def test_a_revoked_key_ends_at_once_in_every_process(client: FlaskClient, make_client: Make) -> None:
    other = make_client(service_token="s3cret")  # the same database, as a second worker
    key_id, holder = make(client)
    assert ask(other, holder).status_code == 200
    assert client.delete(f"/api/keys/{key_id}", headers=SERVICE).status_code == 204
    for one in (client, other):
        refused = ask(one, holder)
        assert (refused.status_code, refused.json["error"]["message"]) == (401, "Clé API révoquée.")
        assert ask(one, {}).status_code == 401  # the last key that goes does not open the door
    assert shown(client, key_id)["state"] == "revoked"
    again = client.patch(f"/api/keys/{key_id}", json={"name": "x"}, headers=SERVICE)
    assert (again.status_code, again.json["error"]["code"]) == (409, "key_revoked")
    assert client.delete(f"/api/keys/{key_id}", headers=SERVICE).status_code == 204


def test_a_forgotten_key_leaves_nothing(client: FlaskClient) -> None:
    key_id, holder = make(client)
    ask(client, holder)
    assert client.delete(f"/api/keys/{key_id}?forget=true", headers=SERVICE).status_code == 204
    assert client.get("/api/keys", headers=SERVICE).json == {"keys": []}
    for method, path in (("delete", ""), ("patch", ""), ("get", "/usage")):
        kwargs = {"json": {"name": "x"}} if method == "patch" else {}
        answer = getattr(client, method)(f"/api/keys/{key_id}{path}", headers=SERVICE, **kwargs)
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "key_not_found")
    assert ask(client, {}).status_code == 200


def test_a_key_ends_when_it_was_said_to(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    key_id, holder = make(client, expires_at=tomorrow.isoformat())
    assert ask(client, holder).status_code == 200
    monkeypatch.setattr("chat.keys.store.utc_now", lambda: tomorrow)
    refused = ask(client, holder)
    assert (refused.status_code, refused.json["error"]["message"]) == (401, "Clé API expirée.")
    assert shown(client, key_id)["state"] == "expired"


def test_environment_keys_go_on_as_they_did(make_client: Make) -> None:
    client = make_client(service_token="s3cret", openai_api_keys="k1")
    _id, holder = make(client)
    for headers, status in (({"Authorization": "Bearer k1"}, 200), (holder, 200), (SERVICE, 200), ({}, 401)):
        assert ask(client, headers).status_code == status


@pytest.mark.parametrize("headers", [{}, {"X-Service-Token": "no"}, {"Authorization": "Bearer k1"}])
def test_keys_are_for_services_to_manage(make_client: Make, headers: dict[str, str]) -> None:
    for token in ("s3cret", None):
        client = make_client(service_token=token, openai_api_keys="k1")
        for method, path in (("get", ""), ("post", ""), ("patch", "/a"), ("delete", "/a"), ("get", "/usage")):
            answer = getattr(client, method)(f"/api/keys{path}", headers=headers)
            assert (answer.status_code, answer.json["error"]["code"]) == (401, "service_token_required")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        ({"name": "x", "models": []}, "models"),
        ({"name": "x", "requests_per_minute": 0}, "requests_per_minute"),
        ({"name": "x", "tokens_per_day": "many"}, "tokens_per_day"),
        ({"name": "x", "admin": True}, "admin"),
    ],
)
def test_a_wrong_key_is_not_made(client: FlaskClient, body: dict[str, Any], param: str) -> None:
    answer = client.post("/api/keys", json=body, headers=SERVICE)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, param)
    assert client.get("/api/keys", headers=SERVICE).json == {"keys": []}


def test_requests_per_minute(client: FlaskClient, make_client: Make) -> None:
    key_id, holder = make(client, requests_per_minute=3)
    other = make_client(service_token="s3cret")
    first = ask(client, holder)
    assert first.headers["x-ratelimit-limit-requests"] == "3"
    assert first.headers["x-ratelimit-remaining-requests"] == "2"
    assert first.headers["x-ratelimit-reset-requests"].endswith("s")
    assert ask(other, holder).headers["x-ratelimit-remaining-requests"] == "1"  # processes count together
    assert ask(client, holder).status_code == 200
    refused = ask(client, holder)
    error = refused.json["error"]
    assert (refused.status_code, error["code"], error["type"]) == (429, "rate_limit_exceeded", "requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in refused.headers
    assert client.get("/v1/models", headers=holder).status_code == 200  # looking is free
    assert all(ask(client, SERVICE).status_code == 200 for _ in range(5))
    changed = client.patch(f"/api/keys/{key_id}", json={"requests_per_minute": None}, headers=SERVICE)
    assert (changed.json["requests_per_minute"], changed.json["name"]) == (None, "Atelier")
    assert ask(client, holder).status_code == 200


def test_tokens_per_day(client: FlaskClient) -> None:
    _id, holder = make(client, tokens_per_day=10)  # each answer of the fake takes 7
    first, second, third = (ask(client, holder) for _ in range(3))
    assert (first.headers["x-ratelimit-limit-tokens"], first.headers["x-ratelimit-remaining-tokens"]) == ("10", "10")
    assert (second.status_code, second.headers["x-ratelimit-remaining-tokens"]) == (200, "3")
    error = third.json["error"]
    assert (third.status_code, error["code"], error["type"]) == (429, "rate_limit_exceeded", "tokens")
    assert int(third.headers["Retry-After"]) <= 86400
    assert third.headers["x-ratelimit-remaining-tokens"] == "0"


def test_models_allowed(client: FlaskClient, gpt: FakeGpt) -> None:
    _id, holder = make(client, models=["qwen3-4b"])
    for name, status in (("qwen3-4b", 200), ("QWEN", 200), ("frigo-mini", 403), ("embedded", 403), ("gpt-9", 404)):
        answer = ask(client, holder, model=name)
        assert answer.status_code == status, name
        if status == 403:
            error = answer.json["error"]
            assert (error["code"], error["type"], error["param"]) == (
                "model_not_found", "invalid_request_error", "model",
            )  # fmt: skip
    for unnamed in ({}, {"model": None}, {"model": "default"}, {"model": ""}, {"model": " Default"}):
        assert ask(client, holder, **unnamed).status_code == 403  # frigo-mini would answer
    assert [model["id"] for model in client.get("/v1/models", headers=holder).json["data"]] == ["qwen3-4b"]
    assert client.get("/v1/models/frigo-mini", headers=holder).status_code in {403, 404}
    assert ask(client, holder, model=["frigo-mini"]).status_code in {200, 400}  # gpt's to refuse: no name at all


def test_the_model_that_answers_an_unnamed_request_is_the_one_that_was_checked(
    client: FlaskClient, gpt: FakeGpt
) -> None:
    _id, holder = make(client, models=["embedded"])
    assert ask(client, holder).status_code == 200
    assert gpt.requests[-1]["model"] == "frigo-mini"
    drawn = client.post("/api/diagrams", json={"text": "Il range.", "model": "qwen3-4b"}, headers=holder)
    assert (drawn.status_code, drawn.json["error"]["code"]) == (403, "model_not_found")


def _asr(seen: list[dict[str, Any]]) -> Flask:
    app = Flask("fake_asr")

    @app.get("/api/models")
    def models() -> Any:
        return jsonify(models=[{"key": "canary-1b", "aliases": ["canary"], "state": "ready"}, {"key": "parakeet"}])

    @app.post("/v1/audio/transcriptions")
    def transcribe() -> Any:
        file = request.files["file"]
        fields = dict(request.form.lists())
        seen.append({**fields, "name": file.filename, "type": file.content_type, "size": len(file.read())})
        return jsonify(text="bonjour", usage={"type": "duration", "seconds": 42})

    return app


def test_models_allowed_for_audio(client: FlaskClient, make_client: Make, serve: Callable[..., str]) -> None:
    seen: list[dict[str, Any]] = []
    client = make_client(service_token="s3cret", asr_api_url=serve(_asr(seen)))
    _id, holder = make(client, models=["canary"])

    def hear(**fields: Any) -> int:
        upload = {"file": (BytesIO(bytes(900_000)), "réunion.wav", "audio/wav"), **fields}
        return client.post("/v1/audio/transcriptions", data=upload, headers=holder).status_code

    assert [hear(model=name) for name in ("canary-1b", "parakeet", "whisper-1")] == [200, 403, 403]
    assert hear(**{"timestamp_granularities[]": ["word", "segment"]}) == 200
    assert seen[0] == {"model": ["canary-1b"], "name": "réunion.wav", "type": "audio/wav", "size": 900_000}
    assert seen[1]["model"] == ["canary-1b"]
    assert seen[1]["timestamp_granularities[]"] == ["word", "segment"]
    assert len(seen) == 2


def test_diagrams_take_a_made_key_and_are_limited(client: FlaskClient) -> None:
    _id, holder = make(client, requests_per_minute=1)
    for status in (200, 429):
        assert client.post("/api/diagrams/validate", json={"mermaid": "x"}, headers=holder).status_code == status
    assert client.post("/api/diagrams/validate", json={"mermaid": "x"}).status_code == 401


def test_nobody_passes_while_the_database_does_not_answer(make_client: Make, tmp_path: Path) -> None:
    client = make_client(service_token="s3cret", openai_api_keys="k1")
    _id, holder = make(client)
    with sqlite3.connect(tmp_path / "data" / "chat.db") as connection:
        connection.execute("ALTER TABLE api_keys RENAME TO gone")
    refused = ask(client, holder)
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "database_unavailable")
    assert ask(client, {"Authorization": "Bearer k1"}).status_code == 200
