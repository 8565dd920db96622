"""Minutes of a transcript: read from the model, merged over parts, written as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from chat.minutes.markdown import markdown
from chat.minutes.merge import merge
from chat.minutes.shape import Action, Minutes, MinutesError, Point, minutes_schema, read_minutes
from tests.chat.fake_gpt import FakeGpt

EMBEDDED: dict[str, Any] = {
    "summary": "Le budget de la foire est voté.",
    "decisions": ["le budget est de 3 000 euros"],
    "actions": [
        {"who": "Zoé", "what": "réserve la salle", "when": "vendredi"},
        {"who": "", "what": "écrire", "when": ""},
    ],
    "open_points": ["le choix du traiteur"],
}
MINUTES: dict[str, Any] = {
    **EMBEDDED,
    "decisions": [{"text": "le budget est de 3 000 euros", "line": 2}],
    "actions": [
        {"who": "Zoé", "what": "réserver la salle", "when": "vendredi", "line": 1},
        {"who": "", "what": "écrire", "when": "", "line": 1},
    ],
    "open_points": [{"text": "le choix du traiteur", "line": 2}],
}
SEGMENTS = [
    {"speaker": "Zoé", "start": 1.5, "end": 4, "text": "Je réserve la salle vendredi."},
    {"speaker": "Marc", "start": 70, "end": 75.25, "text": "Le budget est de 3 000 euros, c'est voté."},
]
TRANSCRIPT = "Zoé: Je réserve la salle vendredi.\nMarc: Le budget est de 3 000 euros, c'est voté."
EMPTY = {"summary": "", "decisions": [], "actions": [], "open_points": []}


def test_minutes_are_answered_as_json_and_markdown(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(MINUTES)
    answer = client.post("/api/minutes", json={"segments": SEGMENTS, "model": "qwen"})
    assert answer.status_code == 200
    assert answer.json["summary"] == MINUTES["summary"]
    assert answer.json["decisions"] == [
        {
            "text": "le budget est de 3 000 euros",
            "seconds": 70.0,
            "source": {"segment": 1, "start": 0, "end": 28, "score": 0.98, "start_s": 70.0, "end_s": 75.25},
        }
    ]
    reserve, write = answer.json["actions"]
    assert (reserve["who"], reserve["what"], reserve["when"]) == ("Zoé", "réserver la salle", "vendredi")
    assert (reserve["seconds"], reserve["source"]["segment"]) == (1.5, 0)
    assert SEGMENTS[0]["text"][reserve["source"]["start"] : reserve["source"]["end"]] == "réserve la salle"
    assert (write["who"], write["seconds"]) == ("", 1.5)
    assert write["source"]["score"] < 0.35, "only the model says so"
    assert (answer.json["model"], answer.json["warnings"], answer.json["parts"]) == ("qwen3-4b", [], 1)
    assert answer.json["markdown"] == (
        "## Résumé\n\nLe budget de la foire est voté.\n\n"
        "## Décisions\n\n- le budget est de 3 000 euros · 01:10\n\n"
        "## Actions\n\n- **Zoé** : réserver la salle (vendredi) · 00:01\n- écrire · 00:01\n\n"
        "## Points ouverts\n\n- le choix du traiteur · 01:10\n"
    )
    assert gpt.requests[0]["messages"][1]["content"] == (
        "[1] Zoé: Je réserve la salle vendredi.\n[2] Marc: Le budget est de 3 000 euros, c'est voté."
    )
    line = gpt.requests[0]["response_format"]["json_schema"]["schema"]["properties"]["decisions"]["items"]
    assert line["properties"]["line"]["maximum"] == 2


def test_the_embedded_model_has_its_own_request(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(EMBEDDED)
    answer = client.post("/api/minutes", json={"segments": SEGMENTS})
    assert gpt.requests[0]["messages"][0]["content"] == "frigo:minutes"
    assert gpt.requests[0]["messages"][1]["content"] == " " + TRANSCRIPT.replace("\n", "\n ")
    assert "grammar" in gpt.requests[0]["structured_outputs"]
    assert [item["seconds"] for item in answer.json["decisions"]] == [70.0]
    assert answer.json["actions"][0]["source"] == {
        "segment": 0, "start": 3, "end": 19, "score": 1.0, "start_s": 1.5, "end_s": 4.0
    }  # fmt: skip
    assert (answer.json["actions"][1]["what"], answer.json["actions"][1]["source"]) == ("écrire", None)
    assert [point["seconds"] for point in answer.json["summary_points"]] == [70.0]


def test_a_plain_transcript_has_places_and_no_seconds(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(EMBEDDED)
    (decision,) = client.post("/api/minutes", json={"transcript": TRANSCRIPT}).json["decisions"]
    source = decision["source"]
    assert TRANSCRIPT[source["start"] : source["end"]] == "Le budget est de 3 000 euros"
    assert (decision["seconds"], source["start_s"], source["segment"]) == (None, None, None)


def test_successive_segments_of_one_speaker_are_a_turn(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(MINUTES)
    segments = [
        {"speaker": "Zoé", "start": 0, "end": 1, "text": "Je réserve"},
        {"speaker": "Zoé", "start": 1, "end": 2, "text": " la salle. "},
        {"speaker": "Marc", "start": 2, "end": 3, "text": "Bien."},
    ]
    assert client.post("/api/minutes", json={"segments": segments, "model": "qwen"}).status_code == 200
    assert gpt.requests[0]["messages"][1]["content"] == "[1] Zoé: Je réserve la salle.\n[2] Marc: Bien."


def test_english_is_written_in_english(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(MINUTES, MINUTES)
    sent = {"transcript": "Ann: We will book the room on Friday.", "model": "qwen"}
    answer = client.post("/api/minutes", json=sent)
    assert answer.json["markdown"].startswith("## Summary\n")
    assert gpt.requests[0]["messages"][0]["content"].startswith("You write the minutes")
    french = client.post("/api/minutes", json={**sent, "language": "fr"})
    assert french.json["markdown"].startswith("## Résumé\n")


@pytest.mark.parametrize("body", [{}, {"transcript": "  \n"}, {"segments": []}, {"segments": [{"text": " "}]}])
def test_an_empty_transcript_is_refused(client: FlaskClient, gpt: FakeGpt, body: dict[str, Any]) -> None:
    answer = client.post("/api/minutes", json=body)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "empty_transcript")
    assert gpt.requests == []


@pytest.mark.parametrize(
    "body",
    [
        {"transcript": 3},
        {"segments": "x"},
        {"segments": [{}]},
        {"transcript": "a", "language": "de"},
        {"other": 1},
        [],
        {"segments": [{"text": "a", "start": -1}]},
        {"transcript": "a", "segments": []},
    ],
)
def test_a_wrong_body_is_refused(client: FlaskClient, body: object) -> None:
    assert client.post("/api/minutes", json=body).status_code == 400


def test_a_long_transcript_is_read_in_parts_and_merged(client: FlaskClient, gpt: FakeGpt) -> None:
    lines = "\n".join(f"Zoé: Nous rangeons la caisse numéro {n} dans le dépôt du fond." for n in range(60))
    again = {
        **EMBEDDED,
        "summary": "On se revoit lundi.",
        "actions": [{"who": "zoe", "what": "Réserve la salle.", "when": ""}],
    }
    gpt.enqueue(EMBEDDED, again, *[again] * 8)
    answer = client.post("/api/minutes", json={"transcript": lines})
    parts = [request["messages"][1]["content"] for request in gpt.requests]
    assert len(parts) > 1
    assert all(part.startswith(" Zoé: Nous rangeons") for part in parts)
    assert answer.json["summary"] == "Le budget de la foire est voté. On se revoit lundi."
    assert [(a["who"], a["what"], a["when"]) for a in answer.json["actions"]] == [
        ("Zoé", "réserve la salle", "vendredi"),
        ("", "écrire", ""),
    ]
    assert [item["text"] for item in answer.json["decisions"]] == EMBEDDED["decisions"]
    assert f"{len(parts)} parties" in answer.json["warnings"][0]


def test_nothing_noted_is_said(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(EMPTY)
    answer = client.post("/api/minutes", json={"transcript": "Zoé: Bonjour."})
    assert answer.json["warnings"] == ["Le modèle n'a rien relevé dans cette transcription."]
    assert answer.json["markdown"].count("Rien de relevé.") == 4


def test_an_answer_that_is_no_minutes_is_repaired_then_refused(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue("Voici :", MINUTES)
    assert client.post("/api/minutes", json={"transcript": TRANSCRIPT, "model": "qwen"}).status_code == 200
    assert "no JSON object" in gpt.requests[1]["messages"][-1]["content"]
    gpt.enqueue("a", "b", "c")
    answer = client.post("/api/minutes", json={"transcript": TRANSCRIPT})
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "minutes_invalid")


def test_odd_fields_are_left_out() -> None:
    odd = {
        "summary": 3,
        "decisions": ["a", "", None, {"text": "b", "line": "x"}],
        "actions": [{"who": 1, "what": " x  y ", "line": True}, {"who": "z"}, "w"],
    }
    wanted = Minutes(decisions=[Point(text="a"), Point(text="b")], actions=[Action(what="x y")])
    for before in ("```json\n", "Voici {le compte rendu} :\n", '<think>{"summary": 1}</think>'):
        assert read_minutes(before + json.dumps(odd)) == wanted
    for written in ("", "[]", '{"summary": ', "{" * 5000, '{"other": 1}'):
        with pytest.raises(MinutesError):
            read_minutes(written)


def test_what_is_said_twice_is_kept_once() -> None:
    one = Minutes(
        summary="Un. Deux.", decisions=[Point(text="Le budget est voté")], actions=[Action(what="réserver la salle")]
    )
    two = Minutes(
        summary="Deux. Trois.",
        decisions=[Point(text="le budget est voté.", seconds=3.0)],
        actions=[Action(who="Zoé", what="réserver la salle", when="lundi")],
    )
    merged = merge([one, two])
    assert merged.summary == "Un. Deux. Trois."
    assert [point.text for point in merged.decisions] == ["Le budget est voté"]
    assert merged.actions == [Action(who="Zoé", what="réserver la salle", when="lundi")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Le budget est de 3 000 euros", "Le budget est de 4 000 euros"),
        ("On réserve la salle", "On ne réserve pas la salle"),
        ("Le contrat est signé par Zoé", "Le devis est signé par Zoé"),
    ],
)
def test_what_differs_by_a_fact_is_kept_twice(one: str, other: str) -> None:
    assert len(merge([Minutes(decisions=[Point(text=one)]), Minutes(decisions=[Point(text=other)])]).decisions) == 2


def test_the_same_in_another_order_is_one() -> None:
    said = ["On réserve la salle du fond pour vendredi", "La salle du fond sera réservée vendredi"]
    assert len(merge([Minutes(decisions=[Point(text=text)]) for text in said]).decisions) == 1


def test_two_people_may_have_the_same_task() -> None:
    same = [Minutes(actions=[Action(who=who, what="relire le contrat")]) for who in ("Zoé", "Marc")]
    assert len(merge(same).actions) == 2


def test_words_bring_no_markdown_of_their_own() -> None:
    written = markdown(
        Minutes(summary="# <b>*x*</b> [a](b)", decisions=[Point(text=t) for t in ("1. a|b", "- c", "3 000 € - oui")]),
        "fr",
    )
    assert "\\# \\<b\\>\\*x\\*\\</b\\> \\[a\\](b)" in written
    assert "- 1\\. a\\|b\n- \\- c\n- 3 000 € - oui\n" in written


def test_the_schema_is_what_is_read() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(MINUTES, minutes_schema(2))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"summary": ""}, minutes_schema(2))


def test_only_services_and_key_holders_are_served(make_client: Callable[..., FlaskClient], gpt: FakeGpt) -> None:
    client = make_client(service_token="s3cret", openai_api_keys="k1,k2")
    body = {"transcript": TRANSCRIPT}
    gpt.enqueue(EMBEDDED, EMBEDDED)
    assert client.post("/api/minutes", json=body).status_code == 401
    assert client.post("/api/minutes", json=body, headers={"Authorization": "Bearer no"}).status_code == 401
    assert client.post("/api/minutes", json=body, headers={"Authorization": "Bearer k2"}).status_code == 200
    assert client.post("/api/minutes", json=body, headers={"X-Service-Token": "s3cret"}).status_code == 200
