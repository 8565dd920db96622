"""Diagrams of minutes: what they say is drawn, and each node knows when it was said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.chat.fake_gpt import FakeGpt

SOURCE = {"segment": 3, "start": 0, "end": 9, "score": 1.0, "start_s": 70.0, "end_s": 75.5}
MINUTES: dict[str, Any] = {
    "summary": "Le budget est voté.",
    "summary_points": [{"text": "Le budget est voté.", "seconds": 12.0, "source": None}],
    "decisions": [{"text": "Le traiteur est choisi", "seconds": 70.0, "source": SOURCE}],
    "actions": [{"who": "Zoé", "what": "réserver la salle", "when": "vendredi", "seconds": 90.25, "source": None}],
    "open_points": ["Qui ouvre ?"],
    "markdown": "…",
}


def graph(*labels: str) -> dict[str, Any]:
    nodes = [{"id": f"n{n}", "label": label, "kind": "action"} for n, label in enumerate(labels, start=1)]
    return {"nodes": nodes, "edges": [{"from": f"n{n}", "to": f"n{n + 1}"} for n in range(1, len(nodes))]}


@pytest.mark.parametrize("given", [MINUTES, json.dumps(MINUTES)])
def test_minutes_are_drawn_with_their_seconds(client: FlaskClient, gpt: FakeGpt, given: Any) -> None:
    gpt.enqueue(graph("Le traiteur est choisi", "réserver la salle", "Qui ouvre", "tout autre chose"))
    answer = client.post("/api/diagrams", json={"minutes": given}).json
    text = "Le budget est voté.\nLe traiteur est choisi.\nZoé : réserver la salle (vendredi).\nQui ouvre ?"
    assert (answer["valid"], answer["text"], answer["warnings"]) == (True, text, [])
    sources = [node.get("source") for node in answer["graph"]["nodes"]]
    assert [text[source["start"] : source["end"]] for source in sources[:3]] == [
        "Le traiteur est choisi", "réserver la salle", "Qui ouvre"
    ]  # fmt: skip
    assert [(source.get("start_s"), source.get("end_s")) for source in sources[:3]] == [
        (70.0, 75.5), (90.25, None), (None, None)
    ]  # fmt: skip
    assert sources[3] is None


def test_what_is_absent_is_named(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(graph("Le budget est voté"))
    answer = client.post("/api/diagrams", json={"minutes": {"summary": "Le budget est voté", "decisions": []}}).json
    assert answer["warnings"] == ["Absents du compte rendu : actions, open_points."]


@pytest.mark.parametrize(
    "given",
    [{}, [], "", "{", "3", {"summary": 3}, {"decisions": [None, 3, {}, {"text": "…"}]}, {"actions": {"who": "x"}}],
)
def test_odd_minutes_are_refused_by_name(client: FlaskClient, gpt: FakeGpt, given: Any) -> None:
    answer = client.post("/api/diagrams", json={"minutes": given})
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "minutes")
    assert gpt.requests == []


def test_only_one_thing_is_drawn(client: FlaskClient) -> None:
    for other in ({"text": "a"}, {"pvb": {}}, {"mermaid": "pie", "instruction": "x"}):
        answer = client.post("/api/diagrams", json={"minutes": MINUTES, **other})
        assert (answer.status_code, answer.json["error"]["code"]) == (400, "too_many_sources")
