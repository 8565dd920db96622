"""What is counted for a key: the real usage of answers and streams, which a client that did not ask never sees."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from flask.testing import FlaskClient

from chat.database import open_database
from chat.keys.store import KeyStore
from chat.keys.usage import Usage, UsageBook
from chat.openai.metering import metered
from chat.settings import ChatSettings
from tests.chat.fake_gpt import FakeGpt
from tests.chat.test_keys import CHAT, SERVICE, ask, make

Make = Callable[..., FlaskClient]


@pytest.fixture
def client(make_client: Make) -> FlaskClient:
    return make_client(service_token="s3cret")


def used(client: FlaskClient, key_id: str, **wanted: float) -> None:
    """Wait until this is what was used today."""
    expected = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0, "audio_seconds": 0, **wanted}
    deadline = time.monotonic() + 60
    while True:
        days = client.get(f"/api/keys/{key_id}/usage", headers=SERVICE).json["usage"]
        found = {name: days[0][name] for name in expected} if days else {}
        if found == expected:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def events(answer: Any) -> list[Any]:
    lines = [line[6:] for line in answer.get_data(as_text=True).split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_answers_are_counted_per_key_and_day(client: FlaskClient, gpt: FakeGpt, noon: datetime) -> None:
    (first, holder), (second, other) = make(client, name="a"), make(client, name="b")
    for headers in (holder, holder, other, SERVICE):
        assert ask(client, headers).status_code == 200
    gpt.enqueue((400, {"error": {"message": "non", "code": "no"}}))
    assert ask(client, holder).status_code == 400  # a refusal is not used
    used(client, first, requests=2, prompt_tokens=6, completion_tokens=8)
    used(client, second, requests=1, prompt_tokens=3, completion_tokens=4)
    both = client.get("/api/keys/usage?days=1", headers=SERVICE).json["usage"]
    day = noon.date().isoformat()
    assert {(row["key_id"], row["day"], row["requests"]) for row in both} == {(first, day, 2), (second, day, 1)}
    assert {
        key["id"]: key["today"]["prompt_tokens"] for key in client.get("/api/keys", headers=SERVICE).json["keys"]
    } == {
        first: 6,
        second: 3,
    }


def test_a_stream_is_counted_and_its_reader_sees_what_it_asked_for(client: FlaskClient, gpt: FakeGpt) -> None:
    key_id, holder = make(client)
    silent = events(ask(client, holder, stream=True, max_tokens=3))
    assert [event if event == "[DONE]" else list(event) for event in silent] == [["choices"]] * 3 + ["[DONE]"]
    assert gpt.requests[-1]["stream_options"] == {"include_usage": True}
    used(client, key_id, requests=1, prompt_tokens=11, completion_tokens=3)
    told = events(ask(client, holder, stream=True, max_tokens=3, stream_options={"include_usage": True}))
    assert told[-2]["usage"]["completion_tokens"] == 3
    assert told[0]["usage"] is None
    off = events(ask(client, holder, stream=True, max_tokens=1, stream_options={"include_usage": False}))
    assert [list(event) for event in off[:-1]] == [["choices"]]
    used(client, key_id, requests=3, prompt_tokens=33, completion_tokens=7)


def test_nobody_counts_who_holds_no_made_key(client: FlaskClient, gpt: FakeGpt) -> None:
    ask(client, SERVICE, stream=True, max_tokens=1)
    assert "stream_options" not in gpt.requests[-1]


def test_a_stream_that_is_left_counts_what_went_by(client: FlaskClient) -> None:
    key_id, holder = make(client)
    answer = client.post(
        "/v1/chat/completions", json={**CHAT, "stream": True, "max_tokens": 50}, headers=holder, buffered=False
    )
    seen = b""
    while seen.count(b"\n\n") < 4:
        seen += next(answer.iter_encoded())
    answer.close()
    deadline = time.monotonic() + 60
    while not (days := client.get(f"/api/keys/{key_id}/usage", headers=SERVICE).json["usage"]) or (
        days[0]["completion_tokens"] < 4
    ):
        assert time.monotonic() < deadline, days
        time.sleep(0.05)
    assert days[0]["prompt_tokens"] == 0  # nobody told


def test_minutes_and_diagrams_are_counted(client: FlaskClient, gpt: FakeGpt) -> None:
    key_id, holder = make(client)
    graph = {
        "nodes": [{"id": "n1", "label": "Il range la caisse", "kind": "action", "actor": "human"}],
        "edges": [],
    }
    gpt.enqueue(graph)
    drawn = client.post("/api/diagrams", json={"text": "Il range la caisse."}, headers=holder)
    assert drawn.status_code == 200, drawn.json
    asked = len(gpt.requests)
    used(client, key_id, requests=1, prompt_tokens=3 * asked, completion_tokens=4 * asked)


def test_seconds_of_audio(make_client: Make, serve: Callable[..., str]) -> None:
    app = Flask("fake_asr")
    done = {"type": "transcript.text.done", "text": "oui", "usage": {"type": "duration", "seconds": 9}}

    @app.post("/v1/audio/<kind>")
    def hear(kind: str) -> Any:
        if kind == "translations":
            return Response(f"data: {json.dumps(done)}\n\ndata: [DONE]\n\n", content_type="text/event-stream")
        if request.form["response_format"] == "srt":
            return Response("1\n", content_type="application/x-subrip", headers={"X-Frigo-Audio-Seconds": "7"})
        return jsonify(text="oui", usage={"type": "duration", "seconds": 42})

    client = make_client(service_token="s3cret", asr_api_url=serve(app))
    key_id, holder = make(client)
    for kind, form_asked in (("transcriptions", "json"), ("translations", "json"), ("transcriptions", "srt")):
        form = {"model": "whisper-1", "file": (BytesIO(b"x"), "a.wav"), "response_format": form_asked}
        answer = client.post(f"/v1/audio/{kind}", data=form, headers=holder)
        assert answer.status_code == 200
        assert form_asked == "srt" or b'"usage"' in answer.data  # theirs: never hidden
    used(client, key_id, requests=3, audio_seconds=58)


class _Account:
    def __init__(self) -> None:
        self.used = Usage()

    def count(self, used: Usage) -> None:
        self.used += used


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_however_a_stream_is_cut_it_says_the_same(end: str, size: int) -> None:
    text = 'dit "usage":null} et {"usage": 1}'
    given = [
        ": ping",
        "data: " + json.dumps({"choices": [{"delta": {"content": text}}], "usage": None}, separators=(",", ":")),
        "data: " + json.dumps({"choices": [{"delta": {"content": text}}], "usage": None, "x": 1}),
        "data: " + json.dumps({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}}),
        "data: [DONE]",
    ]
    data = "".join(event + end for event in given).encode()
    account = _Account()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    shown = b"".join(metered(chunks, account, hide=True)).decode().split(end)  # type: ignore[arg-type]
    assert shown[0] == ": ping"
    assert shown[3:] == ["data: [DONE]", ""]
    assert [json.loads(event[6:]) for event in shown[1:3]] == [
        {"choices": [{"delta": {"content": text}}]},
        {"choices": [{"delta": {"content": text}}], "x": 1},
    ]
    assert account.used == Usage(prompt_tokens=5, completion_tokens=6)
    told = b"".join(metered(chunks, account, hide=False))  # type: ignore[arg-type]
    assert told == data


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    database = open_database(ChatSettings(data_dir=tmp_path))
    return KeyStore(database, UsageBook(database, flush_seconds=3600))


def test_usage_adds_up_over_processes_and_days(
    store: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noon: datetime
) -> None:
    row, key = store.create(name="a", tokens_per_day=100)
    database = open_database(ChatSettings(data_dir=tmp_path))
    books = [UsageBook(database, flush_seconds=3600) for _ in range(4)]
    for book in books:
        for _ in range(5):
            book.add(row.id, Usage(1, 2, 3, 0.5))
        book.add("0" * 16, Usage(1))  # forgotten since
    writers = [threading.Thread(target=book.flush) for book in books]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [day.used for day in store.usage(1)] == [Usage(20, 40, 60, 10.0)]
    holder = store.holder(key)
    assert holder is not None
    assert holder.tokens_today == 100
    later = noon + timedelta(days=1)
    for module in ("usage", "store"):
        monkeypatch.setattr(f"chat.keys.{module}.utc_now", lambda: later)
    holder = store.holder(key)
    assert holder is not None
    assert holder.tokens_today == 0  # a new day
    assert len(store.usage(2)) == 1
    assert store.usage(1) == []


def test_what_cannot_be_written_is_kept(tmp_path: Path) -> None:
    database = open_database(ChatSettings(data_dir=tmp_path))
    book = UsageBook(database, flush_seconds=3600)
    row, _key = KeyStore(database, book).create(name="a")
    book.add(row.id, Usage(1, 2, 3))
    with database.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE api_key_usage RENAME TO gone")
    book.flush()
    assert book.unwritten(row.id) == Usage(1, 2, 3)
    with database.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE gone RENAME TO api_key_usage")
    book.flush()
    assert book.unwritten(row.id) == Usage()
    assert KeyStore(database, book).usage(1)[0].used == Usage(1, 2, 3)
