"""An answer of a conversation is stored as it comes; what does not fit is left out; what fails can be asked again."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from chat.conversations import bounds, talk, writing
from chat.conversations.following import follow
from chat.conversations.keeping import Keeper
from chat.conversations.reading import AnswerReader
from chat.conversations.talk import joined
from chat.conversations.writing import Writing
from tests.chat.fake_gpt import BIG, FakeGpt
from tests.chat.scripted_gpt import ScriptedGpt, call
from tests.chat.test_conversations import URL, begin, one, turn


def until(look: Callable[[], Any]) -> Any:
    limit = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < limit
        time.sleep(0.02)
    return found


def last(client: FlaskClient, conversation: str) -> dict[str, Any]:
    return dict(one(client, conversation)["messages"][-1])


def streaming(client: FlaskClient, conversation: str, content: str, **fields: Any) -> Iterator[bytes]:
    """The answer's pieces as they come; closing it is leaving."""
    body = {"content": content, "max_tokens": 4, **fields}
    answer = client.post(f"{URL}/{conversation}/completions", json=body, buffered=False)
    assert answer.status_code == 200
    pieces = answer.iter_encoded()
    try:
        yield from pieces
    finally:
        answer.close()


def following(client: FlaskClient, conversation: str) -> Iterator[dict[str, Any]]:
    """The events of the last message, pings aside."""
    path = f"{URL}/{conversation}/messages/{last(client, conversation)['id']}/events"
    answer = client.get(path, buffered=False)
    assert answer.status_code == 200
    for piece in answer.iter_encoded():
        if piece.startswith(b"data: {"):
            yield json.loads(piece[6:])


def test_a_reload_in_the_middle_shows_what_was_said(client: FlaskClient, gpt: FakeGpt) -> None:
    made = begin(client)
    gpt.permits = threading.Semaphore(2)
    pieces = streaming(client, made["id"], "Bonjour")
    assert b'"question"' in next(pieces)
    begun = last(client, made["id"])
    assert (begun["state"], begun["content"]) == ("writing", "")
    next(pieces), next(pieces)
    until(lambda: last(client, made["id"])["content"] == "é0 é1 ")
    assert last(client, made["id"])["state"] == "writing"
    gpt.permits.release(2)
    assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
    ended = last(client, made["id"])
    assert (ended["content"], ended["state"]) == ("é0 é1 é2 é3 ", "done")


def test_an_answer_goes_on_without_its_reader(client: FlaskClient, gpt: FakeGpt) -> None:
    made = begin(client)
    gpt.permits = threading.Semaphore(2)
    pieces = streaming(client, made["id"], "Bonjour", max_tokens=6)
    for _piece in range(3):
        next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    until(lambda: last(client, made["id"])["content"] == "é0 é1 ")
    assert last(client, made["id"])["state"] == "writing"
    follower = following(client, made["id"])
    first = next(follower)
    assert (first["object"], first["answer"]["content"]) == ("conversation.answer", "é0 é1 ")
    gpt.permits.release(2)
    assert next(follower)["choices"][0]["delta"]["content"] in {"é2 ", "é2 é3 "}
    gpt.permits.release(4)
    *_more, end = follower
    kept = last(client, made["id"])
    assert (kept["content"], kept["state"]) == ("é0 é1 é2 é3 é4 é5 ", "done")
    assert end["answer"] == kept
    (all_there,) = following(client, made["id"])
    assert all_there["answer"] == kept


def test_an_answer_is_stopped_for_all(client: FlaskClient, gpt: FakeGpt) -> None:
    made = begin(client)
    gpt.permits = threading.Semaphore(2)
    pieces = streaming(client, made["id"], "Bonjour", max_tokens=100_000, pace=0.02)
    for _piece in range(3):
        next(pieces)
    stopped = client.post(f"{URL}/{made['id']}/stop")
    assert stopped.json == {"stopped": 1}
    gpt.permits.release(100_000)
    assert gpt.stream_closed.wait(30)
    b"".join(pieces)
    kept = last(client, made["id"])
    assert kept["state"] == "unfinished"
    assert kept["content"].startswith("é0 é1 ")
    assert client.post(f"{URL}/{made['id']}/stop").json == {"stopped": 0}
    assert client.post(f"{URL}/conv_absent/stop").status_code == 404
    gpt.permits = None
    turn(client, made["id"], "Continue", max_tokens=1)
    assert [m["role"] for m in gpt.requests[-1]["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("how", ["stopped", "deleted"])
def test_what_another_process_ends_in_the_database_ends_here(
    how: str, make_client: Callable[..., FlaskClient], gpt: FakeGpt
) -> None:
    """Without its reader, who left."""
    client, other = make_client(), make_client()
    made = begin(client)
    gpt.permits = threading.Semaphore(2)
    pieces = streaming(client, made["id"], "Bonjour", max_tokens=100_000, pace=0.02)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    if how == "stopped":
        assert other.post(f"{URL}/{made['id']}/stop").json == {"stopped": 1}
    else:
        assert other.delete(f"{URL}/{made['id']}").status_code == 204
    gpt.permits.release(100_000)
    assert gpt.stream_closed.wait(60)
    if how == "stopped":
        assert until(lambda: last(client, made["id"])["content"])
        assert last(client, made["id"])["state"] == "unfinished"


def test_a_refusal_that_nobody_reads_is_kept(
    client: FlaskClient, gpt: FakeGpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, left = begin(client), threading.Event()

    def refuses(_body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        assert left.wait(60)
        return 503, {"message": "pas prêt", "code": "model_not_ready", "param": None}

    def leaves(_writing: Writing) -> None:
        raise KeyboardInterrupt

    gpt.refuses = refuses
    monkeypatch.setattr(Writing, "wait", leaves)
    with pytest.raises(KeyboardInterrupt):
        client.post(f"{URL}/{made['id']}/completions", json={"content": "Bonjour"})
    assert last(client, made["id"])["state"] == "writing"
    left.set()
    assert until(lambda: last(client, made["id"])["state"] == "failed")
    assert last(client, made["id"])["error"] == {"message": "pas prêt", "code": "model_not_ready"}


def test_an_answer_stopped_before_it_begins_leaves_its_question(
    client: FlaskClient, gpt: FakeGpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, stopped = begin(client), threading.Event()
    gpt.refuses = lambda _body: None if stopped.wait(60) else (500, {})
    waits = Writing.wait

    def stops(one: Writing) -> None:
        assert client.application.test_client().post(f"{URL}/{made['id']}/stop").json == {"stopped": 1}
        stopped.set()
        waits(one)

    with monkeypatch.context() as patched:
        patched.setattr(Writing, "wait", stops)
        refused = client.post(f"{URL}/{made['id']}/completions", json={"content": "Bonjour"})
    assert refused.status_code == 409
    whole = one(client, made["id"])
    assert [m["role"] for m in whole["messages"]] == ["user"]
    assert whole["current"] == whole["messages"][0]["id"]
    turn(client, made["id"], max_tokens=1)
    assert [m["role"] for m in one(client, made["id"])["messages"]] == ["user", "assistant"]


def test_only_so_many_go_on_alone(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_ALONE", 1)
    first, second = begin(client), begin(client)
    for made in (first, second):
        pieces = streaming(client, made["id"], "Bonjour", max_tokens=100_000, pace=0.02)
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]
    assert until(lambda: last(client, first["id"])["state"] == "unfinished")
    assert last(client, second["id"])["state"] == "writing"
    assert client.post(f"{URL}/{second['id']}/stop").json == {"stopped": 1}


def test_an_answer_that_nobody_reads_has_its_time(
    client: FlaskClient, gpt: FakeGpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_SECONDS_ALONE", 0.0)
    made = begin(client)
    pieces = streaming(client, made["id"], "Bonjour", max_tokens=100_000, pace=0.05)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert until(lambda: last(client, made["id"])["state"] == "unfinished")
    assert gpt.stream_closed.wait(60)


def test_an_answer_of_another_is_not_followed(client: FlaskClient) -> None:
    made, other = begin(client, "Bonjour"), begin(client, "Bonsoir")
    assert client.get(f"{URL}/{made['id']}/messages/msg_absent/events").status_code == 404
    elsewhere = f"{URL}/{made['id']}/messages/{other['messages'][0]['id']}/events"
    assert client.get(elsewhere).status_code == 404


def test_what_changes_beside_the_text_is_told_whole() -> None:
    base: dict[str, Any] = {"state": "writing", "content": "a"}
    told = [base, base, {**base, "content": "ab", "reasoning_content": "x"}, {**base, "tool_runs": [1]}]
    looks = iter([*told, {**base, "state": "done"}])
    _whole, nothing, grown, ran, ended = follow(lambda: dict(next(looks)))
    assert nothing is None
    assert grown == {"choices": [{"index": 0, "delta": {"content": "b", "reasoning_content": "x"}}]}
    assert ran is not None
    assert ran["answer"] == told[-1]
    assert ended is not None
    assert ended["answer"]["state"] == "done"


def test_an_answer_whose_writer_was_killed_is_unfinished(client: FlaskClient, tmp_path: Path) -> None:
    made = begin(client)
    first = turn(client, made["id"], "Bonjour", max_tokens=1)[0]
    for seconds, state in ((5, "writing"), (60, "unfinished")):
        seen = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S.%f")
        with sqlite3.connect(tmp_path / "data" / "chat.db") as database:
            values = (seen, first["answer"]["id"])
            database.execute("UPDATE conversation_messages SET state='writing', touched_at=? WHERE id=?", values)
        assert last(client, made["id"])["state"] == state


def test_an_answer_that_breaks_says_so(client: FlaskClient) -> None:
    made = begin(client)
    turn_of = client.post(f"{URL}/{made['id']}/completions", json={"content": "Bonjour", "breaks_after": 2})
    assert "event: error" in turn_of.get_data(as_text=True)
    kept = last(client, made["id"])
    assert (kept["content"], kept["state"], kept["error"]["code"]) == ("é0 é1 ", "failed", "peer_broken")
    assert "coupé" in kept["error"]["message"]


def test_what_is_refused_can_be_asked_again(client: FlaskClient, gpt: FakeGpt) -> None:
    made = begin(client)
    gpt.refuses = lambda _body: (503, {"message": "pas prêt", "code": "model_not_ready", "param": None, "model": {}})
    refused = client.post(f"{URL}/{made['id']}/completions", json={"content": "Bonjour"})
    assert refused.json is not None
    error = refused.json["error"]
    assert (refused.status_code, error["code"], error["model"]) == (503, "model_not_ready", {})
    (question,) = one(client, made["id"])["messages"]
    assert error["stored"] == {"conversation_id": made["id"], "message_id": question["id"]}
    gpt.refuses = lambda _body: None
    turn(client, made["id"], parent_id=question["id"], max_tokens=1)
    assert [m["role"] for m in one(client, made["id"])["messages"]] == ["user", "assistant"]


def test_gpt_that_is_down_loses_no_question(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(gpt_api_url="http://127.0.0.1:9")
    made = begin(client)
    refused = client.post(f"{URL}/{made['id']}/completions", json={"content": "Bonjour"})
    assert refused.json is not None
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "peer_unavailable")
    assert last(client, made["id"])["content"] == "Bonjour"


def test_the_oldest_turns_are_left_out_when_the_model_is_small(client: FlaskClient, gpt: FakeGpt) -> None:
    said = [{"role": "system", "content": "Sois bref."}]
    said += [{"role": ("user", "assistant")[n % 2], "content": f"{n} " + "mot " * 500} for n in range(6)]
    made = dict(client.post(URL, json={"messages": said}).json or {})
    begun = turn(client, made["id"], "Et alors ?", model="frigo-mini")[0]  # 1024 tokens
    sent = gpt.requests[-1]["messages"]
    assert sent[0] == {"role": "system", "content": "Sois bref."}
    assert [m["role"] for m in sent[1:]] == ["user"]
    assert begun["answer"]["left_out"] == 6 == last(client, made["id"])["left_out"]

    turn(client, made["id"], "Et alors ?", model=BIG["id"], max_tokens=1)
    assert len(gpt.requests[-1]["messages"]) == 10
    assert "left_out" not in last(client, made["id"])


def test_a_model_that_refuses_the_length_is_given_less(client: FlaskClient, gpt: FakeGpt) -> None:
    def holds(body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        size = sum(len(m["content"]) for m in body["messages"])
        return (400, {"message": "trop", "code": "context_length_exceeded", "param": "messages"}) if size > 40 else None

    gpt.refuses = holds
    made = begin(client, *(f"{n}" * 9 for n in range(8)))
    begun = turn(client, made["id"], "x" * 9, max_tokens=1)[0]
    assert [m["content"][0] for m in gpt.requests[-1]["messages"]] == ["6", "7", "x"]
    assert begun["answer"]["left_out"] == 6
    refused = client.post(f"{URL}/{made['id']}/completions", json={"content": "y" * 50})
    assert refused.json is not None
    assert (refused.status_code, refused.json["error"]["code"]) == (400, "context_length_exceeded")


def test_turns_of_one_role_in_a_row_are_one() -> None:
    def said(role: str, content: str) -> dict[str, str]:
        return {"role": role, "content": content}

    assert joined([said("user", "a"), said("user", "b"), said("assistant", "c")]) == [
        said("user", "a\n\nb"),
        said("assistant", "c"),
    ]


def read(*chunks: dict[str, Any], cut: int = 7) -> tuple[AnswerReader, bytes]:
    """A reader that was given these chunks in pieces of `cut` bytes, and what it passed on."""
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + ": ping\n\ndata: [DONE]\n\n"
    reader, data = AnswerReader(), events.encode()
    return reader, b"".join(b"".join(reader.feed(data[at : at + cut])) for at in range(0, len(data), cut))


def delta(**values: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": values}]}


def test_tools_reasoning_and_texts_are_read() -> None:
    run = {"id": "1", "round": 1, "name": "date", "arguments": {}, "state": "running"}
    reader, passed = read(
        delta(reasoning_content="Hm. "),
        delta(content="Je regarde."),
        delta(tool_run=run),
        delta(tool_run={**run, "state": "done", "result": "x" * (bounds.MAX_RUN_TEXT + 5)}),
        delta(content="Lundi\x00."),
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"total_tokens": 3}},
    )
    assert reader.ended
    assert passed.count(b"data: ") == 6
    kept = reader.columns()
    assert (kept["content"], kept["reasoning"], kept["model"]) == ("Je regarde.\n\nLundi.", "Hm. ", "m")
    assert (kept["finish_reason"], kept["usage"]) == ("stop", {"total_tokens": 3})
    (told,) = kept["tool_runs"]
    assert (told["state"], len(told["result"])) == ("done", bounds.MAX_RUN_TEXT)


def test_tools_of_the_server_run_in_a_conversation(client: FlaskClient, front: tuple[Any, str]) -> None:
    scripted = ScriptedGpt()
    front[0].app = scripted.app
    scripted.enqueue([("thought", "Hm."), "Je calcule.", call("calculatrice", expression="17 * 3")], ["Cela fait 51."])
    made = begin(client)
    tools = [{"type": "frigo", "name": "calculatrice"}]
    events = turn(client, made["id"], "17 fois 3 ?", tools=tools, model="tiny")
    told = [event["choices"][0]["delta"].get("tool_run") for event in events if event.get("choices")]
    assert [run["state"] for run in told if run] == ["running", "done"]
    kept = last(client, made["id"])
    assert (kept["content"], kept["state"], kept["model"]) == ("Je calcule.\n\nCela fait 51.", "done", "tiny")
    (run,) = kept["tool_runs"]
    assert (run["name"], run["state"], "51" in str(run["result"])) == ("calculatrice", "done", True)
    assert kept["reasoning_content"] == "Hm."
    asked = 'Outil : calculatrice {"expression": "17 * 3"}'
    assert asked in client.get(f"{URL}/{made['id']}/export.md").get_data(as_text=True)


def test_an_endless_answer_is_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_ANSWER", 10)
    reader, passed = read(*(delta(content="abcd") for _n in range(5)))
    assert reader.columns()["content"] == "abcdabcdab"
    assert passed.count(b"abcd") == 5


def test_the_model_is_told_again_what_the_tools_had_said(client: FlaskClient, front: tuple[Any, str]) -> None:
    front[0].app = (scripted := ScriptedGpt()).app
    scripted.enqueue([call("calculatrice", expression="17*3")], ["51"], ["Oui."], ["Non."])
    made, tools = begin(client), [{"type": "frigo", "name": "calculatrice"}]
    turn(client, made["id"], "17 fois 3 ?", tools=tools, model="tiny")
    turn(client, made["id"], "Vraiment ?", tools=tools)
    said = [(m["role"], m.get("content")) for m in scripted.requests[2]["messages"]]
    assert said == [
        ("user", "17 fois 3 ?"),
        ("assistant", None),
        ("tool", "= 51"),
        ("assistant", "51"),
        ("user", "Vraiment ?"),
    ]
    turn(client, made["id"], "Sans outils ?")
    assert [m["role"] for m in scripted.requests[3]["messages"]] == ["user", "assistant", "user", "assistant", "user"]


def test_results_take_their_room(client: FlaskClient, front: tuple[Any, str]) -> None:
    """Of 4096 tokens; the runs of old answers count as their text does."""
    runs = [{"id": str(n), "name": "date", "arguments": "{}", "result": "x" * 2000} for n in range(10)]
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "tool_runs": runs},
    ]
    assert talk._size(turns) == 2 + 10 * 2002
    assert talk._latest([*turns, {"role": "user", "content": "c"}], 1000) == [{"role": "user", "content": "c"}]
    (one,) = joined([turns[1], turns[1]])
    assert len(one["tool_runs"]) == 20


def test_an_alias_has_the_room_of_its_model(make_client: Callable[..., FlaskClient], gpt: FakeGpt) -> None:
    client = make_client(model_aliases="petit=frigo-mini")
    made = begin(client, *(["x" * 1000] * 10))
    turn(client, made["id"], "Alors ?", model="petit", max_tokens=1)
    (asked,) = gpt.requests
    assert asked["model"] == "frigo-mini"
    assert len(asked["messages"]) == 5, "1024 tokens of four characters, of which one is for the answer"


def test_the_end_is_kept_by_a_thread_that_nobody_stops() -> None:
    """Under gevent, who waits for the database may be ended there: its client has left."""
    kept: list[tuple[str, Any]] = []

    class Store:
        def keep(self, _message_id: str, values: dict[str, Any]) -> str:
            kept.append((threading.current_thread().name, values.get("state")))
            return "writing"

        def state(self, _message_id: str) -> str:
            return "writing"

    keeper = Keeper(Store(), "msg_1", dict, lambda *, there: None)  # type: ignore[arg-type]  # all that it calls
    keeper.start()
    keeper.finish(lambda: "done")
    assert kept[-1] == ("keeper", "done")
    keeper.finish(lambda: "failed")
    assert [state for _thread, state in kept if state] == ["done"]
