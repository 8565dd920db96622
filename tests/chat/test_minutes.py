"""Minutes of a transcript: read from the model, merged over parts, written as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from chat.minutes.shape import Action, Minutes, MinutesError, markdown, merge, minutes_schema, read_minutes
from chat.minutes.write import Segment, as_transcript
from tests.chat.fake_gpt import FakeGpt

MINUTES: dict[str, Any] = {
    "summary": "Le budget de la foire est voté.",
    "decisions": ["le budget est de 3 000 euros"],
    "actions": [
        {"who": "Zoé", "what": "réserver la salle", "when": "vendredi"},
        {"who": "", "what": "écrire", "when": ""},
    ],
    "open_points": ["le choix du traiteur"],
}
TRANSCRIPT = "Zoé: Je réserve la salle vendredi.\nMarc: Le budget est de 3 000 euros, c'est voté."
EMPTY = {"summary": "", "decisions": [], "actions": [], "open_points": []}


def test_minutes_are_answered_as_json_and_markdown(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(MINUTES)
    answer = client.post("/api/minutes", json={"transcript": TRANSCRIPT})
    assert answer.status_code == 200
    assert {key: answer.json[key] for key in MINUTES} == MINUTES
    assert (answer.json["model"], answer.json["warnings"]) == ("frigo-mini", [])
    assert answer.json["markdown"] == (
        "## Résumé\n\nLe budget de la foire est voté.\n\n"
        "## Décisions\n\n- le budget est de 3 000 euros\n\n"
        "## Actions\n\n- **Zoé** : réserver la salle (vendredi)\n- écrire\n\n"
        "## Points ouverts\n\n- le choix du traiteur\n"
    )
    assert gpt.requests[0]["messages"][0]["content"] == "frigo:minutes"
    assert "grammar" in gpt.requests[0]["structured_outputs"]


def test_segments_are_a_transcript_too(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(MINUTES)
    segments = [
        {"speaker": "Zoé", "start": 0, "end": 1, "text": "Je réserve"},
        {"speaker": "Zoé", "start": 1, "end": 2, "text": " la salle. "},
        {"speaker": "Marc", "start": 2, "end": 3, "text": "Bien."},
    ]
    assert client.post("/api/minutes", json={"segments": segments, "model": "qwen"}).status_code == 200
    assert gpt.requests[0]["messages"][1]["content"] == "Zoé: Je réserve la salle.\nMarc: Bien."


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
    [{"transcript": 3}, {"segments": "x"}, {"segments": [{}]}, {"transcript": "a", "language": "de"}, {"other": 1}, []],
)
def test_a_wrong_body_is_refused(client: FlaskClient, body: object) -> None:
    assert client.post("/api/minutes", json=body).status_code == 400


def test_a_long_transcript_is_read_in_parts_and_merged(client: FlaskClient, gpt: FakeGpt) -> None:
    lines = "\n".join(f"Zoé: Nous rangeons la caisse numéro {n} dans le dépôt du fond." for n in range(60))
    again = {
        **MINUTES,
        "summary": "On se revoit lundi.",
        "actions": [{"who": "zoe", "what": "Réserver la salle.", "when": ""}],
    }
    gpt.enqueue(MINUTES, again, *[again] * 8)
    answer = client.post("/api/minutes", json={"transcript": lines})
    parts = [request["messages"][1]["content"] for request in gpt.requests]
    assert len(parts) > 1
    assert all(part.startswith(" Zoé: Nous rangeons") for part in parts)
    assert answer.json["summary"] == "Le budget de la foire est voté. On se revoit lundi."
    assert answer.json["actions"] == MINUTES["actions"]
    assert answer.json["decisions"] == MINUTES["decisions"]
    assert f"{len(parts)} parties" in answer.json["warnings"][0]


def test_a_model_that_can_write_merges_the_parts_itself(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.models = [{**model, "context": 1500} for model in gpt.models]
    lines = "\n".join(f"Zoé: Nous rangeons la caisse numéro {n} dans le dépôt." for n in range(50))
    gpt.enqueue(*[MINUTES] * 12)
    answer = client.post("/api/minutes", json={"transcript": lines, "model": "qwen"})
    parts = len(gpt.requests) - 1
    assert parts > 1
    merging = gpt.requests[-1]["messages"]
    assert "successives" in merging[0]["content"]
    assert merging[1]["content"].count('"summary"') == parts
    assert {key: answer.json[key] for key in MINUTES} == MINUTES


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
        "decisions": ["a", "", None, "A ."],
        "actions": [{"who": 1, "what": " x  y "}, {"who": "z"}, "w"],
    }
    assert read_minutes(f"```json\n{json.dumps(odd)}\n```") == Minutes(decisions=["a"], actions=[Action(what="x y")])
    for written in ("", "[]", '{"summary": '):
        with pytest.raises(MinutesError):
            read_minutes(written)


def test_what_is_said_twice_is_kept_once() -> None:
    one = Minutes(summary="Un. Deux.", decisions=["Le budget est voté"], actions=[Action(what="réserver la salle")])
    two = Minutes(
        summary="Deux. Trois.",
        decisions=["le budget est voté."],
        actions=[Action(who="Zoé", what="réserver la salle", when="lundi")],
    )
    merged = merge([one, two])
    assert merged.summary == "Un. Deux. Trois."
    assert merged.decisions == ["Le budget est voté"]
    assert merged.actions == [Action(who="Zoé", what="réserver la salle", when="lundi")]


def test_two_people_may_have_the_same_task() -> None:
    same = [Minutes(actions=[Action(who=who, what="relire le contrat")]) for who in ("Zoé", "Marc")]
    assert len(merge(same).actions) == 2


def test_words_bring_no_markdown_of_their_own() -> None:
    written = markdown(Minutes(summary="# <b>*x*</b> [a](b)", decisions=["1. a|b", "- c", "3 000 € - oui"]), "fr")
    assert "\\# \\<b\\>\\*x\\*\\</b\\> \\[a\\](b)" in written
    assert "- 1\\. a\\|b\n- \\- c\n- 3 000 € - oui\n" in written


def test_segments_without_a_name_are_lines() -> None:
    assert (
        as_transcript([Segment(text="a\nb"), Segment(speaker="Zoé", text=""), Segment(speaker="A  B", text="c")])
        == "a b\nA B: c"
    )


def test_the_schema_is_what_is_read() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(MINUTES, minutes_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"summary": ""}, minutes_schema())


def test_only_services_and_key_holders_are_served(make_client: Callable[..., FlaskClient], gpt: FakeGpt) -> None:
    client = make_client(service_token="s3cret", openai_api_keys="k1,k2")
    body = {"transcript": TRANSCRIPT}
    gpt.enqueue(MINUTES, MINUTES)
    assert client.post("/api/minutes", json=body).status_code == 401
    assert client.post("/api/minutes", json=body, headers={"Authorization": "Bearer no"}).status_code == 401
    assert client.post("/api/minutes", json=body, headers={"Authorization": "Bearer k2"}).status_code == 200
    assert client.post("/api/minutes", json=body, headers={"X-Service-Token": "s3cret"}).status_code == 200
