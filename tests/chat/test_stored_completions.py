"""`store: true`: answers kept, in one piece or streamed, and what their owner can do with them later."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.chat.fake_gpt import FakeGpt
from tests.chat.test_keys import SERVICE, make

Make = Callable[..., FlaskClient]
PATH = "/v1/chat/completions"
QUESTION = [{"role": "user", "content": "Bonjour"}]


@pytest.fixture
def client(make_client: Make) -> FlaskClient:
    return make_client(service_token="s3cret")


def ask(client: FlaskClient, headers: dict[str, str] = SERVICE, **body: Any) -> Any:
    answer = client.post(PATH, json={"messages": QUESTION, "store": True, **body}, headers=headers)
    assert answer.status_code == 200, answer.json
    return answer


def ids(client: FlaskClient, query: str = "", headers: dict[str, str] = SERVICE) -> list[str]:
    listed = client.get(f"{PATH}?{query}", headers=headers).json
    return [one["id"] for one in listed["data"]]


def test_an_answer_is_kept_when_asked(client: FlaskClient) -> None:
    answer = ask(client, metadata={"projet": "frigo"}, temperature=0.5, model="qwen").json
    kept = client.get(f"{PATH}/{answer['id']}", headers=SERVICE).json
    assert kept == {**answer, "metadata": {"projet": "frigo"}, "temperature": 0.5}
    assert ids(client) == [answer["id"]]


@pytest.mark.parametrize("body", [{"store": False}, {"store": None}, {"store": "yes"}])
def test_it_is_not_kept_otherwise(client: FlaskClient, body: dict[str, Any]) -> None:
    ask(client, **body)
    assert ids(client) == []


def test_nothing_is_kept_of_a_refusal(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue((400, {"error": {"message": "non", "code": "no"}}))
    assert client.post(PATH, json={"messages": QUESTION, "store": True}, headers=SERVICE).status_code == 400
    assert ids(client) == []


def test_a_stream_is_kept_whole_before_its_end_is_told(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.play(
        b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
        b'"delta":{"role":"assistant","content":"Bon"},"finish_reason":null}],"usage":null}\n\n'
        b": ping\n\n"
        b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
        b'"delta":{"content":"jour"},"finish_reason":null}],"usage":null}\n\n'
        b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
        b'"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
        b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
        b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
        b"data: [DONE]\n\n"
    )
    for event in ask(client, stream=True).response:
        if b"[DONE]" not in event:
            assert ids(client) == []
    kept = client.get(f"{PATH}/c-1", headers=SERVICE).json
    assert kept["choices"][0]["message"]["content"] == "Bonjour"
    assert kept["choices"][0]["finish_reason"] == "stop"
    assert kept["usage"]["total_tokens"] == 5
    assert kept["object"] == "chat.completion"


def test_a_stream_that_broke_is_not_kept(client: FlaskClient, gpt: FakeGpt) -> None:
    begun = b'data: {"id":"c-1","choices":[{"index":0,"delta":{"content":"Bon"},"finish_reason":null}]}\n\n'
    for end in (b"", b'event: error\ndata: {"error":{"message":"boum"}}\n\ndata: [DONE]\n\n'):
        gpt.play(begun + end)
        ask(client, stream=True).get_data()
    assert ids(client) == []


def test_recorded_streams_add_up_to_their_answer(client: FlaskClient, gpt: FakeGpt, shared_data: Path) -> None:
    for path in sorted((shared_data / "openai" / "recorded-sse").glob("*.sse")):
        gpt.play(path.read_bytes())
        ask(client, stream=True).get_data()
    kept = {one["id"]: one for one in client.get(f"{PATH}?limit=100", headers=SERVICE).json["data"]}
    assert len(kept) == len(list((shared_data / "openai" / "recorded-sse").glob("*.sse")))
    calls = [
        call for one in kept.values() for choice in one["choices"] for call in choice["message"].get("tool_calls") or ()
    ]
    assert {call["function"]["name"] for call in calls} >= {"GetWeatherArgs", "get_stock_price"}
    assert all(isinstance(json.loads(call["function"]["arguments"]), dict) and call["id"] for call in calls)
    assert any(len(one["choices"]) == 3 for one in kept.values())
    assert any(one["choices"][0]["message"]["refusal"] for one in kept.values())
    assert any((one["choices"][0]["logprobs"] or {}).get("content") for one in kept.values())


def test_lists_have_pages_orders_and_filters(client: FlaskClient) -> None:
    made = [
        ask(client, metadata={"n": str(n % 2), 'a"b': "x"}, model=["qwen", "frigo-mini"][n % 2]).json["id"]
        for n in range(5)
    ]
    assert ids(client) == made
    assert ids(client, "order=desc&limit=2") == [made[4], made[3]]
    assert ids(client, f"after={made[1]}&limit=2") == [made[2], made[3]]
    assert ids(client, f"order=desc&after={made[1]}") == [made[0]]
    assert ids(client, "metadata[n]=1") == [made[1], made[3]]
    assert ids(client, 'metadata[a"b]=y') == []
    assert ids(client, "model=qwen") == [made[0], made[2], made[4]]
    first = client.get(f"{PATH}?limit=3", headers=SERVICE).json
    assert (first["object"], first["has_more"]) == ("list", True)
    assert (first["first_id"], first["last_id"]) == (made[0], made[2])
    assert client.get(f"{PATH}?limit=0", headers=SERVICE).json["data"] == []
    assert client.get(f"{PATH}?after=inconnu", headers=SERVICE).status_code == 404
    assert client.get(f"{PATH}?order=random", headers=SERVICE).status_code == 400


def test_the_messages_it_answers_can_be_listed(client: FlaskClient) -> None:
    parts = [{"type": "text", "text": "Deux "}, {"type": "text", "text": "morceaux"}]
    messages = [{"role": "system", "content": "Sois bref."}, {"role": "user", "content": parts}]
    gpt_answer = client.post(PATH, json={"messages": [*messages, *QUESTION], "store": True}, headers=SERVICE).json
    listed = client.get(f"{PATH}/{gpt_answer['id']}/messages", headers=SERVICE).json
    assert [(one["role"], one["content"]) for one in listed["data"]] == [
        ("system", "Sois bref."),
        ("user", "Deux morceaux"),
        ("user", "Bonjour"),
    ]
    assert [one["content_parts"] for one in listed["data"]] == [None, parts, None]
    last = client.get(f"{PATH}/{gpt_answer['id']}/messages?order=desc&limit=1", headers=SERVICE).json
    assert last["data"][0]["content"] == "Bonjour"
    assert last["has_more"]
    after = client.get(f"{PATH}/{gpt_answer['id']}/messages?after={listed['data'][1]['id']}", headers=SERVICE).json
    assert [one["content"] for one in after["data"]] == ["Bonjour"]


def test_metadata_can_be_changed(client: FlaskClient) -> None:
    made = ask(client, metadata={"a": "1"}).json["id"]
    changed = client.post(f"{PATH}/{made}", json={"metadata": {"b": "2"}}, headers=SERVICE).json
    assert (changed["id"], changed["metadata"]) == (made, {"b": "2"})
    assert ids(client, "metadata[b]=2") == [made]
    for wrong in ({"b": 2}, ["b"], {"b": "é" * 513}, {str(n): "" for n in range(17)}):
        refused = client.post(f"{PATH}/{made}", json={"metadata": wrong}, headers=SERVICE)
        assert (refused.status_code, refused.json["error"]["param"][:8]) == (400, "metadata")
        body = {"messages": QUESTION, "store": True, "metadata": wrong}
        assert client.post(PATH, json=body, headers=SERVICE).status_code == 400


def test_it_can_be_forgotten(client: FlaskClient) -> None:
    made = ask(client).json["id"]
    gone = client.delete(f"{PATH}/{made}", headers=SERVICE)
    assert gone.json == {"object": "chat.completion.deleted", "id": made, "deleted": True}
    for method, path in (("GET", ""), ("GET", "/messages"), ("POST", ""), ("DELETE", "")):
        refused = client.open(f"{PATH}/{made}{path}", method=method, json={"metadata": None}, headers=SERVICE)
        assert (refused.status_code, refused.json["error"]["type"]) == (404, "invalid_request_error")


def test_nobody_sees_anothers(client: FlaskClient) -> None:
    (_one, holder), (other_id, other) = make(client, name="a"), make(client, name="b")
    mine, theirs = ask(client, holder).json["id"], ask(client, other).json["id"]
    house = ask(client, SERVICE).json["id"]
    for headers, own in ((holder, mine), (other, theirs), (SERVICE, house)):
        assert ids(client, headers=headers) == [own]
        for foreign in {mine, theirs, house} - {own}:
            assert client.get(f"{PATH}/{foreign}", headers=headers).status_code == 404
            assert client.delete(f"{PATH}/{foreign}", headers=headers).status_code == 404
            assert client.get(f"{PATH}?after={foreign}", headers=headers).status_code == 404
    client.delete(f"/api/keys/{other_id}?forget=true", headers=SERVICE)
    assert ids(client, headers=holder) == [mine]


def test_what_is_too_many_or_too_old_goes(make_client: Make, tmp_path: Path) -> None:
    client = make_client(stored_completions_max=2, stored_completions_days=3)
    made = [ask(client).json["id"] for _ in range(3)]
    assert ids(client) == made[1:]
    with sqlite3.connect(tmp_path / "data" / "chat.db") as database:
        old = datetime.now(UTC) - timedelta(days=4)
        database.execute("UPDATE stored_completions SET created_at = ? WHERE id = ?", (str(old)[:-6], made[1]))
    assert ids(client) == made[2:]


def test_keeping_can_be_off(make_client: Make) -> None:
    client = make_client(stored_completions_max=0)
    assert client.get(f"{PATH}/{ask(client).json['id']}").status_code == 404


def test_large_images_are_left_out(client: FlaskClient) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000_000}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "Vois"}, image]}, *QUESTION]
    made = client.post(PATH, json={"messages": messages, "store": True}, headers=SERVICE).json["id"]
    listed = client.get(f"{PATH}/{made}/messages", headers=SERVICE).json["data"]
    assert listed[0]["content_parts"] == [{"type": "text", "text": "Vois"}]


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(client: FlaskClient, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "data" / "chat.db") as database:
        database.execute("DROP TABLE stored_completions")
    assert ask(client).json["choices"][0]["message"]["content"] == "ruojnoB"


def test_embeddings_are_gpts_and_counted(client: FlaskClient, gpt: FakeGpt) -> None:
    key_id, holder = make(client, name="a", tokens_per_day=5)
    body = {"input": "Bonjour", "model": "frigo-mini"}
    answer = client.post("/v1/embeddings", json=body, headers=holder)
    assert answer.json["data"][0]["embedding"] == [0.6, 0.8]
    assert gpt.requests == [body]
    refused = client.post("/v1/embeddings", json=body, headers=holder)
    assert (refused.status_code, refused.json["error"]["code"]) == (429, "rate_limit_exceeded"), key_id


def test_a_page_after_what_is_not_there_names_its_field(client: FlaskClient) -> None:
    unknown = client.get(f"{PATH}?after=chatcmpl-x", headers=SERVICE)
    assert (unknown.status_code, unknown.json["error"]["param"]) == (404, "after")
