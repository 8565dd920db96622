"""The API keys, from the supervision to a real chat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.factory import create_app
from app.settings import AppSettings
from chat.factory import create_app as create_chat
from chat.settings import ChatSettings
from common.settings import load
from tests.app.fakes import ADMIN, SERVICE

BEARER = {"Authorization": f"Bearer {ADMIN}"}


@pytest.fixture
def web(serve: Callable[..., str], tmp_path: Path, free_port: int) -> Any:
    nowhere = f"http://127.0.0.1:{free_port}"
    chat = create_chat(load(ChatSettings, data_dir=tmp_path, service_token=SERVICE, gpt_api_url=nowhere))
    settings = load(AppSettings, data_dir=tmp_path, admin_token=ADMIN, service_token=SERVICE, chat_api_url=serve(chat))
    return create_app(settings).test_client()


def test_a_key_is_made_changed_followed_and_revoked(web: Any) -> None:
    made = web.post("/api/admin/keys", json={"name": "Atelier", "requests_per_minute": 9}, headers=BEARER)
    assert (made.status_code, made.json["requests_per_minute"]) == (201, 9)
    assert made.headers["Cache-Control"] == "no-store"
    address, holder = f"/api/admin/keys/{made.json['id']}", {"Authorization": f"Bearer {made.json['key']}"}
    assert [key["name"] for key in web.get("/api/admin/keys", headers=BEARER).json["keys"]] == ["Atelier"]
    assert web.patch(address, json={"name": "Bureau"}, headers=BEARER).json["name"] == "Bureau"
    assert web.get(f"{address}/usage?days=2", headers=BEARER).json == {"usage": []}
    assert web.get("/api/admin/keys/usage", headers=BEARER).json == {"usage": []}
    limited = web.post("/v1/chat/completions", json={"messages": []}, headers=holder)
    assert (limited.status_code, limited.headers["x-ratelimit-remaining-requests"]) == (503, "8")  # no gpt here
    assert web.delete(address, headers=BEARER).status_code == 204
    refused = web.post("/v1/chat/completions", json={"messages": []}, headers=holder)
    assert (refused.status_code, refused.json["error"]["code"]) == (401, "invalid_api_key")


def test_keys_want_the_admin_token(web: Any) -> None:
    for headers in ({}, {"Authorization": "Bearer no"}, {"X-Service-Token": SERVICE}):
        assert web.get("/api/admin/keys", headers=headers).status_code == 401
        assert web.post("/api/admin/keys", json={"name": "x"}, headers=headers).status_code == 401
    assert web.get("/api/keys", headers={"X-Service-Token": SERVICE}).status_code == 404  # chat's, never public


@pytest.mark.parametrize("key_id", ["nobody", "..", "a%2Fb", "%2e%2e"])
def test_an_unknown_key_is_said_to_be(web: Any, key_id: str) -> None:
    assert web.patch(f"/api/admin/keys/{key_id}", json={"name": "x"}, headers=BEARER).status_code in {404, 405, 308}
