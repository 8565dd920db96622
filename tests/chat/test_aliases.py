"""MODEL_ALIASES: clients that are bound to a model's name get one of ours, for text and for audio."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient

from chat.settings import ChatSettings
from common.settings import SettingsError, load
from tests.chat.fake_gpt import FakeGpt
from tests.chat.test_keys import CHAT, _asr, make

Make = Callable[..., FlaskClient]
ALIASES = "gpt-4o-mini=qwen, GPT-4o = frigo-mini,*=default"


@pytest.fixture
def client(make_client: Make) -> FlaskClient:
    return make_client(model_aliases=ALIASES, service_token="s3cret")


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("gpt-4o-mini", "qwen"),
        ("GPT-4O-mini", "qwen"),
        ("gpt-4o", "frigo-mini"),
        ("o9-preview", "default"),
        ("qwen3-4b", "qwen3-4b"),
        ("embedded", "embedded"),
        ("default", "default"),
    ],
)
def test_names_are_understood(client: FlaskClient, gpt: FakeGpt, path: str, asked: str, sent: str) -> None:
    gpt.enqueue("Ici.")
    assert client.post(f"/v1/{path}", json={**CHAT, "model": asked, "kept": {"é": 1.5}}).status_code == 200
    assert gpt.requests == [{**CHAT, "model": sent, "kept": {"é": 1.5}}]


def test_a_request_that_names_nothing_new_goes_by_untouched(client: FlaskClient, gpt: FakeGpt) -> None:
    sent = b'{ "model":"qwen3-4b",  "messages":[{"role":"user","content":"x"}]}'
    client.post("/v1/chat/completions", data=sent, content_type="application/json")
    client.post("/v1/chat/completions", json=CHAT)
    assert gpt.raw[0] == sent
    assert gpt.requests[1] == CHAT
    refused = client.post("/v1/chat/completions", data=b"[]", content_type="application/json")
    assert (refused.status_code, refused.json["error"]["code"]) == (400, "invalid_json")


def test_without_a_star_unknown_names_stay_unknown(make_client: Make, gpt: FakeGpt) -> None:
    client = make_client(model_aliases="gpt-4o-mini=qwen")
    client.post("/v1/chat/completions", json={**CHAT, "model": "o9"})
    assert gpt.requests[-1]["model"] == "o9"
    assert client.get("/v1/models/o9").status_code == 404


def test_models_are_listed_under_all_their_names(client: FlaskClient) -> None:
    listed = client.get("/v1/models").json
    assert listed["object"] == "list"
    shown = {model["id"]: model.get("alias_of") for model in listed["data"]}
    assert shown == {"frigo-mini": None, "qwen3-4b": None, "gpt-4o-mini": "qwen3-4b", "GPT-4o": "frigo-mini"}
    for name, meant in (("gpt-4o-mini", "qwen3-4b"), ("anything", "frigo-mini"), ("qwen3-4b", None)):
        model = client.get(f"/v1/models/{name}").json
        assert (model["id"], model["object"], model.get("alias_of")) == (name, "model", meant)


def test_a_key_may_allow_a_name_or_what_it_means(client: FlaskClient, gpt: FakeGpt) -> None:
    for allowed in ("gpt-4o-mini", "qwen3-4b", "qwen"):
        _id, holder = make(client, models=[allowed])
        names = {"gpt-4o-mini": 200, "gpt-4o": 403, "o9-preview": 403}
        for name, status in names.items():
            answer = client.post("/v1/chat/completions", json={**CHAT, "model": name}, headers=holder)
            assert answer.status_code == status, (allowed, name)
        listed = [model["id"] for model in client.get("/v1/models", headers=holder).json["data"]]
        assert "gpt-4o-mini" in listed
        assert not {"frigo-mini", "GPT-4o"} & set(listed)
    assert {body["model"] for body in gpt.requests} == {"qwen"}


def test_audio_too(make_client: Make, serve: Callable[..., str]) -> None:
    seen: list[dict[str, Any]] = []
    aliases = "Systran/whisper=parakeet,*=canary-1b"
    client = make_client(asr_api_url=serve(_asr(seen)), model_aliases=aliases)
    expected = {
        "systran/whisper": "parakeet",
        "whisper-large-v9": "canary-1b",
        "canary": "canary",
        "whisper-1": "whisper-1",  # OpenAI's names mean something to asr
        "gpt-4o-transcribe-diarize": "gpt-4o-transcribe-diarize",
        "gpt-transcribe": "gpt-transcribe",
        "default": "default",
    }
    for name in expected:
        upload = {"file": (BytesIO(bytes(70_000)), "é.wav"), "model": name, "language": "fr"}
        assert client.post("/v1/audio/transcriptions", data=upload).json["text"] == "bonjour"
    assert [form["model"] for form in seen] == [[sent] for sent in expected.values()]
    assert {(form["name"], form["size"], form["language"][0]) for form in seen} == {("é.wav", 70_000, "fr")}


@pytest.mark.parametrize("value", ["gpt-4o", "=x", "a=", "a=b,A=c"])
def test_a_wrong_value_names_the_variable(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_ALIASES", value)
    with pytest.raises(SettingsError, match="MODEL_ALIASES"):
        load(ChatSettings)


def test_the_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_ALIASES", ALIASES)
    assert load(ChatSettings).model_aliases == {"gpt-4o-mini": "qwen", "GPT-4o": "frigo-mini", "*": "default"}
    monkeypatch.setenv("MODEL_ALIASES", "")
    assert load(ChatSettings).model_aliases == {}


def test_a_name_that_cannot_be_one_is_unknown(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue("Ici.")
    assert client.post("/v1/chat/completions", json={**CHAT, "model": "x" * 100_000}).status_code == 200
    assert gpt.requests[-1]["model"] == "default"


def test_half_a_letter_in_a_name_is_no_json(client: FlaskClient, gpt: FakeGpt) -> None:
    for body in (b'{"model": "\\ud800", "messages": []}', b'{"model": "\xed\xa0\x80", "messages": []}'):
        refused = client.post("/v1/chat/completions", data=body, content_type="application/json")
        assert (refused.status_code, refused.json["error"]["code"]) == (400, "invalid_json")
    assert gpt.requests == []
