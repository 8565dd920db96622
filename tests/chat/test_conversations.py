"""Conversations that are kept: list, search, branches, export, owners, bounds."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask.testing import FlaskClient
from sqlalchemy import create_engine

from chat.conversations import bounds, folding, store
from chat.conversations.folding import excerpt, folded
from chat.database import VERSION_TABLE, Base
from tests.chat.fake_gpt import FakeGpt
from tests.chat.test_keys import SERVICE
from tests.chat.test_keys import make as make_key

URL = "/api/conversations"


def turn(client: FlaskClient, conversation: str, content: str | None = None, **fields: Any) -> list[dict[str, Any]]:
    """Ask, and read the whole answer: its events, [DONE] aside."""
    body = fields if content is None else {"content": content, **fields}
    answer = client.post(f"{URL}/{conversation}/completions", json=body)
    assert answer.status_code == 200, answer.json
    *events, done, rest = answer.get_data(as_text=True).split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.partition("data: ")[2]) for event in events if not event.startswith(":")]


def begin(client: FlaskClient, *said: str, **fields: Any) -> dict[str, Any]:
    """A conversation made of these messages, yours first."""
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    answer = client.post(URL, json={"messages": messages, **fields})
    assert answer.status_code == 201, answer.json
    return dict(answer.json or {})


def one(client: FlaskClient, conversation: str) -> dict[str, Any]:
    return dict(client.get(f"{URL}/{conversation}").json or {})


def found(client: FlaskClient, **query: Any) -> list[str]:
    return [c["title"] for c in client.get(URL, query_string=query).json["conversations"]]  # type: ignore[index]


def test_the_tables_are_those_of_the_models(client: FlaskClient, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/data/chat.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": VERSION_TABLE})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_a_question_and_its_answer_are_kept(client: FlaskClient, gpt: FakeGpt) -> None:
    made = begin(client)
    assert (made["title"], made["messages"]) == ("", [])
    first, *chunks = turn(client, made["id"], "Qu'est-ce qu'un réfrigérateur ?", model="qwen", max_tokens=3)
    assert first["conversation"]["title"] == "Qu'est-ce qu'un réfrigérateur ?"
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks if chunk["choices"]] == ["é0 ", "é1 ", "é2 "]
    assert gpt.requests[-1]["model"] == "qwen"
    assert gpt.requests[-1]["max_tokens"] == 3

    kept = one(client, made["id"])
    question, answer = kept["messages"]
    assert (question["id"], answer["id"]) == (first["question"]["id"], first["answer"]["id"])
    assert (question["content"], question["parent_id"]) == ("Qu'est-ce qu'un réfrigérateur ?", None)
    assert (answer["content"], answer["parent_id"], answer["state"]) == ("é0 é1 é2 ", question["id"], "done")
    assert answer["usage"] == {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    assert (kept["current"], kept["model"], answer["asked_model"]) == (answer["id"], "qwen", "qwen")

    turn(client, made["id"], "Et un congélateur ?", model="default", temperature=0)
    sent = gpt.requests[-1]
    assert [m["role"] for m in sent["messages"]] == ["user", "assistant", "user"]
    assert ("model" in sent, sent["temperature"], sent["stream"]) == (False, 0, True)


def test_branches_are_made_by_editing_and_switched(client: FlaskClient, gpt: FakeGpt) -> None:
    made = begin(client, "Bonjour", "Bonjour !", "Une pomme ?", "Oui.")
    first, _hello, question, _yes = made["messages"]
    turn(client, made["id"], "Une poire ?", parent_id=question["parent_id"], max_tokens=1)
    assert [m["content"] for m in gpt.requests[-1]["messages"]] == ["Bonjour", "Bonjour !", "Une poire ?"]
    turn(client, made["id"], "Salut", parent_id=None, max_tokens=1)  # another beginning
    assert [m["content"] for m in gpt.requests[-1]["messages"]] == ["Salut"]
    kept = one(client, made["id"])
    assert [m["content"] for m in kept["messages"] if m["parent_id"] is None] == ["Bonjour", "Salut"]

    changed = client.patch(f"{URL}/{made['id']}", json={"current": first["id"]}).json
    assert changed is not None
    by_id = {m["id"]: m for m in changed["messages"]}
    leaf = by_id[changed["current"]]
    assert by_id[leaf["parent_id"]]["content"] == "Une poire ?"  # the latest under it
    turn(client, made["id"], "Et une prune ?", max_tokens=1)
    assert [m["content"] for m in gpt.requests[-1]["messages"]][-3:] == ["Une poire ?", "é0 ", "Et une prune ?"]


def test_an_answer_is_made_again_beside_the_first(client: FlaskClient, gpt: FakeGpt) -> None:
    made = begin(client)
    first = turn(client, made["id"], "Bonjour", max_tokens=1)[0]
    again = turn(client, made["id"], parent_id=first["question"]["id"], model="qwen", max_tokens=2)[0]
    assert again["question"]["id"] == again["answer"]["parent_id"] == first["question"]["id"]
    turn(client, made["id"], max_tokens=2)  # the latest question, none being named
    kept = one(client, made["id"])
    assert [m["role"] for m in kept["messages"]] == ["user", "assistant", "assistant", "assistant"]
    assert [m["content"] for m in gpt.requests[-1]["messages"]] == ["Bonjour"]
    refused = client.post(f"{URL}/{made['id']}/completions", json={"parent_id": first["answer"]["id"]})
    assert refused.json is not None
    assert (refused.status_code, refused.json["error"]["code"]) == (404, "message_not_found")


def test_models_change_inside_a_conversation(client: FlaskClient, gpt: FakeGpt) -> None:
    made = begin(client)
    for model in ("frigo-mini", "poésie"):
        gpt.models = [*gpt.models, {**gpt.models[0], "id": "poésie", "aliases": []}]
        turn(client, made["id"], "Bonjour", model=model, max_tokens=1)
    turn(client, made["id"], "Encore", max_tokens=1)
    assert [request["model"] for request in gpt.requests] == ["frigo-mini", "poésie", "poésie"]
    answers = [m for m in one(client, made["id"])["messages"] if m["role"] == "assistant"]
    assert [m["asked_model"] for m in answers] == ["frigo-mini", "poésie", "poésie"]


def test_text_is_folded() -> None:
    for text, shown in (("Œuvre d'ÉTÉ", "oeuvre d'ete"), ("Straße ﬁn", "strasse fin"), ("L’été", "l'ete")):
        assert folded(text) == shown


def test_an_excerpt_is_around_what_was_found() -> None:
    assert excerpt("Les œufs\nsont frais", ["frais"]) == "Les œufs sont frais"
    long = "œ" * 5000 + " un élève attentif " + "x" * 5000
    found = excerpt(long, ["eleve"])
    assert "élève attentif" in found
    assert len(found) < 150
    assert excerpt("rien", ["absent"]) == "rien"


def test_conversations_are_searched_whatever_the_accents(client: FlaskClient) -> None:
    begin(client, "Le Frigo de l'École", "Il est à 4 °C.", title="Températures")
    begin(client, "Recette", "Un œuf à 100 % frais_bio")
    begin(client, "Autre chose")
    assert found(client, q="ecole") == found(client, q="ÉCOLE temperatures") == ["Températures"]
    assert found(client, q="oeuf") == found(client, q="100 %") == found(client, q="s_b") == ["Recette"]
    assert found(client, q="ecole oeuf") == found(client, q="d_i") == []
    assert found(client) == ["Autre chose", "Recette", "Températures"]
    listed = client.get(URL, query_string={"q": "ŒUF"}).json
    assert listed is not None
    (only,) = listed["conversations"]
    assert (only["excerpt"], only["messages"]) == ("Un œuf à 100 % frais_bio", 2)


def test_the_list_is_read_page_by_page(client: FlaskClient) -> None:
    same = "2026-01-01T00:00:00+00:00"
    for number in range(5):
        begin(client, f"n{number}", created_at=same if number < 3 else f"2026-01-0{number}T00:00:00Z")
    seen: list[str] = []
    after = None
    while True:
        page = client.get(URL, query_string={"limit": 2, **({"after": after} if after else {})}).json
        assert page is not None
        seen += [one["title"] for one in page["conversations"]]
        after = page["conversations"][-1]["id"]
        if not page["has_more"]:
            break
    assert seen[:2] == ["n4", "n3"]
    assert sorted(seen) == ["n0", "n1", "n2", "n3", "n4"]


def test_rename_and_delete(client: FlaskClient, tmp_path: Path) -> None:
    made, other, third = begin(client, "Bonjour"), begin(client, "Salut"), begin(client, "Coucou")
    assert client.patch(f"{URL}/{made['id']}", json={"title": "  Été  "}).json["title"] == "Été"  # type: ignore[index]
    assert found(client, q="ete") == ["Été"]
    for body in ({}, {"title": " "}, {"title": "x" * 201}, {"current": "msg_1"}, {"owner": "x"}):
        assert client.patch(f"{URL}/{made['id']}", json=body).status_code in (400, 404)
    assert client.delete(f"{URL}/{other['id']}").status_code == 204
    assert client.get(f"{URL}/{other['id']}").status_code == 404
    assert client.delete(URL).json == {"deleted": 2}
    assert client.get(f"{URL}/{third['id']}").status_code == 404
    with sqlite3.connect(tmp_path / "data" / "chat.db") as database:
        assert database.execute("SELECT count(*) FROM conversation_messages").fetchone() == (0,)


def test_a_long_first_message_makes_a_short_title(client: FlaskClient) -> None:
    title = begin(client, "  Explique-moi,\n\n" + "en détail et sans rien omettre, " * 9)["title"]
    assert title.startswith("Explique-moi, en détail")
    assert title.endswith("…")
    assert len(title) <= 61


def test_what_was_drawn_is_kept_and_not_told_to_the_model(client: FlaskClient, gpt: FakeGpt) -> None:
    made = begin(client, "Bonjour", "Bonjour !")
    diagram = {"mermaid": "flowchart TD\n A-->B", "valid": True}
    for values in (
        {"role": "user", "content": "Dessine", "tool": "draw"},
        {"role": "assistant", "content": "Voici.", "tool": "draw", "diagram": diagram, "model": "frigo-mini"},
    ):
        assert client.post(f"{URL}/{made['id']}/messages", json=values).status_code == 201
    kept = one(client, made["id"])
    assert kept["messages"][-1]["diagram"] == diagram
    assert kept["current"] == kept["messages"][-1]["id"]
    turn(client, made["id"], "Merci", max_tokens=1)
    assert [m["content"] for m in gpt.requests[-1]["messages"]] == ["Bonjour", "Bonjour !", "Merci"]
    text = client.get(f"{URL}/{made['id']}/export.md").get_data(as_text=True)
    assert "```mermaid\nflowchart TD\n A-->B\n```" in text


def test_exports(client: FlaskClient) -> None:
    made = begin(client, "Qui es-tu ?", "Un code :\n```py\nx\n```", title="Été : « frais » / 2")
    markdown = client.get(f"{URL}/{made['id']}/export.md")
    assert markdown.get_data(as_text=True).startswith("# Été : « frais » / 2\n\n## Vous\n\nQui es-tu ?\n\n## Frigo\n\n")
    assert markdown.headers["Content-Disposition"].startswith('attachment; filename="Ete frais 2.md"; filename*=UTF-8')
    assert client.get(f"{URL}/{made['id']}/export.md", headers={"Accept-Language": "en"}).text.count("## You\n") == 1
    whole = client.get(f"{URL}/{made['id']}/export.json")
    assert whole.json == one(client, made["id"])
    assert client.get(f"{URL}/{made['id']}/export.pdf").status_code in (400, 404)


def test_nobody_sees_another_s(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(service_token="s3cret", openai_api_keys="maison")
    keys = [make_key(client, name=name)[1] for name in "ab"]
    house = [{"Authorization": "Bearer maison"}, SERVICE]
    owners = [keys[0], keys[1], house[0]]
    made = [dict(client.post(URL, json={"title": str(n)}, headers=who).json or {}) for n, who in enumerate(owners)]
    for number, who in enumerate([*keys, *house]):
        listed = client.get(URL, headers=who).json
        assert listed is not None
        assert [one["title"] for one in listed["conversations"]] == [str(min(number, 2))]
    other = f"{URL}/{made[1]['id']}"
    asked = [("get", ""), ("patch", ""), ("delete", ""), ("post", "/completions"), ("post", "/messages")]
    for method, path in [*asked, ("get", "/export.json")]:
        body = {"role": "user", "content": "x"} if path == "/messages" else {"title": "x"}
        if path == "/completions":
            body = {"content": "x"}
        answer = getattr(client, method)(other + path, headers=keys[0], **({} if method == "get" else {"json": body}))
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "conversation_not_found")
    assert client.delete(URL, headers=keys[0]).json == {"deleted": 1}
    assert client.get(other, headers=keys[1]).status_code == 200
    assert client.get(URL).status_code == 401
    assert client.get(URL, headers={"Authorization": "Bearer faux"}).status_code == 401


def test_only_asking_counts_for_a_key(make_client: Callable[..., FlaskClient], gpt: FakeGpt) -> None:
    client = make_client(service_token="s3cret")
    _id, who = make_key(client, requests_per_minute=1, models=["frigo-mini"])
    conversation = f"{URL}/{client.post(URL, json={}, headers=who).json['id']}"  # type: ignore[index]
    refused = client.post(f"{conversation}/completions", json={"content": "a", "model": "qwen"}, headers=who)
    assert refused.status_code == 403
    limited = client.post(f"{conversation}/completions", json={"content": "a", "model": "frigo-mini"}, headers=who)
    assert (limited.status_code, limited.headers["x-ratelimit-limit-requests"]) == (429, "1")
    assert client.get(conversation, headers=who).json["messages"][0]["content"] == "a"  # type: ignore[index]
    assert gpt.requests == []


def test_a_forgotten_key_takes_its_conversations_along(make_client: Callable[..., FlaskClient], tmp_path: Path) -> None:
    client = make_client(service_token="s3cret")
    key_id, who = make_key(client)
    client.post(URL, json={"title": "x"}, headers=who)
    assert client.delete(f"/api/keys/{key_id}?forget=true", headers=SERVICE).status_code == 204
    with sqlite3.connect(tmp_path / "data" / "chat.db") as database:
        assert database.execute("SELECT count(*) FROM conversations").fetchone() == (0,)


def test_what_a_turn_cannot_be_is_refused_by_name(client: FlaskClient) -> None:
    made = begin(client)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"content": " \n"}, "content"),
        ({"content": "x" * (bounds.MAX_CONTENT + 1)}, "content"),
        ({"content": "x", "messages": []}, "messages"),
        ({"content": "x", "n": 2}, "n"),
        ({"content": "x", "tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"content": "x", "parent_id": "msg_absent"}, "parent_id"),
        ({}, "content"),
    ]
    for body, param in wrong:
        answer = client.post(f"{URL}/{made['id']}/completions", json=body)
        assert answer.status_code in (400, 404)
        assert answer.json is not None
        assert answer.json["error"]["param"] == param
    assert one(client, made["id"])["messages"] == []


def test_bounds_are_told(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begin(client, "a", "b")
    monkeypatch.setattr(bounds, "MAX_MESSAGES", 3)
    monkeypatch.setattr(bounds, "MAX_CONVERSATIONS", 2)
    monkeypatch.setattr(bounds, "MAX_CHARACTERS", 10)
    add = f"{URL}/{made['id']}/messages"
    for content, status, code in (
        ("x" * 20, 409, "conversation_full"),
        ("c", 201, None),
        ("d", 409, "conversation_full"),
    ):
        answer = client.post(add, json={"role": "user", "content": content})
        assert answer.json is not None
        assert (answer.status_code, answer.json.get("error", {}).get("code")) == (status, code)
    begin(client)
    answer = client.post(URL, json={})
    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "too_many_conversations")
    assert "2 discussions" in answer.json["error"]["message"]


def test_a_search_looks_at_some_conversations_at_a_time(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SEARCHED_AT_ONCE", 2)
    for number in range(7):
        begin(client, f"Le fromage {number}" if number % 2 else "Rien", title=str(number))
    assert found(client, q="fromage") == ["5", "3", "1"]
    first = client.get(URL, query_string={"q": "fromage", "limit": 2}).json
    assert ([one["title"] for one in first["conversations"]], first["has_more"]) == (["5", "3"], True)
    assert first["conversations"][0]["excerpt"] == "Le fromage 5"
    last = client.get(URL, query_string={"q": "fromage", "limit": 2, "after": first["conversations"][-1]["id"]}).json
    assert ([one["title"] for one in last["conversations"]], last["has_more"]) == (["1"], False)
    assert found(client, q="absent") == []
    unknown = client.get(URL, query_string={"q": "fromage", "after": "conv_x"})
    assert (unknown.status_code, unknown.json["error"]["param"]) == (404, "after")


@pytest.mark.parametrize("text", ["Élève", "“Œuvre” d’été…", "Ἀθῆναι", "نَصّ", "한국어 e\u0301", "İstanbul", "ASCII", ""])
def test_folding_takes_every_mark_away(text: str) -> None:
    plain = unicodedata.normalize("NFKD", text).casefold().translate(folding._LIGATURES)
    assert folded(text) == "".join(letter for letter in plain if not unicodedata.combining(letter))
