"""POST /api/diagrams for kinds other than flowcharts: by schema, or written as Mermaid; by capable models only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from chat.diagrams.kinds.registry import KINDS, WRITTEN
from tests.chat.drawings import drawing_of
from tests.chat.fake_gpt import FakeGpt

TEXT = "La cliente envoie sa demande. L'agent vérifie le dossier (sous 3 jours)."
LABELS = ["La cliente envoie sa demande", "l'agent verifie", "le dossier (sous 3 jours)", "end"]


def _data(kind: str) -> Any:
    return drawing_of(kind, LABELS)[0].model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "flowchart"])
def test_a_kind_is_asked_by_its_schema_and_drawn_with_sources(client: FlaskClient, gpt: FakeGpt, kind: str) -> None:
    gpt.enqueue(_data(kind))
    answer = client.post("/api/diagrams", json={"text": TEXT, "kind": kind, "model": "qwen"}).json
    assert (answer["valid"], answer["kind"], answer["model"]) == (True, kind, "qwen3-4b")
    asked = gpt.requests[0]["response_format"]["json_schema"]
    assert asked["schema"] == KINDS[kind].schema
    sources = [item["source"] for item in _walk(answer["graph"]) if "source" in item]
    exact = [TEXT[source["start"] : source["end"]] for source in sources if source["score"] == 1]
    assert set(exact) & {LABELS[0], LABELS[2]}


@pytest.mark.parametrize("kind", ["sequence", "gitGraph"])
def test_the_embedded_model_is_refused_by_name(client: FlaskClient, gpt: FakeGpt, kind: str) -> None:
    error = client.post("/api/diagrams", json={"text": TEXT, "kind": kind}).json["error"]
    assert (error["code"], error["param"]) == ("unsupported_kind", "kind")
    assert "frigo-mini" in error["message"]
    assert gpt.requests == []


def test_a_wrong_drawing_is_repaired_with_the_reason(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue({"slices": [{"label": "a", "value": -2}]}, ("cut", '{"slices":['), _data("pie"))
    answer = client.post("/api/diagrams", json={"text": TEXT, "kind": "pie", "model": "qwen"}).json
    assert (answer["valid"], answer["repairs"]) == (True, 2)
    said = [request["messages"][-1]["content"] for request in gpt.requests[1:]]
    assert "slices.0.value" in said[0]
    assert "too long" in said[1]


def test_a_direction_where_there_is_none_is_told(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(_data("pie"), _data("state"))
    asked = {"text": TEXT, "kind": "pie", "direction": "LR", "model": "qwen"}
    answer = client.post("/api/diagrams", json=asked).json
    assert answer["warnings"] == ["La direction ne s'applique pas au type « pie » : elle est laissée de côté."]
    answer = client.post("/api/diagrams", json={**asked, "kind": "state"}).json
    assert answer["warnings"] == []
    assert "    direction LR\n" in answer["mermaid"]


def test_a_long_text_is_read_as_far_as_it_fits_and_the_rest_is_told(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(_data("timeline"))
    long = (TEXT + "\n") * 400
    answer = client.post("/api/diagrams", json={"text": long, "kind": "timeline", "model": "qwen"}).json
    (warning,) = answer["warnings"]
    read = len(gpt.requests[0]["messages"][1]["content"])
    assert f"Seuls les {read} premiers caractères sur {len(long)}" in warning


WRITTEN_OK = "```mermaid\ngitGraph\n  commit\n  branch essai\n  commit\n```\nVoilà."


def test_a_kind_without_schema_is_written_and_judged(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue("gitGraph\n  checkout nulle", "pie\n 'a' : 1", WRITTEN_OK)
    answer = client.post("/api/diagrams", json={"text": TEXT, "kind": "gitGraph", "model": "qwen"}).json
    assert answer["mermaid"] == "gitGraph\n  commit\n  branch essai\n  commit\n"
    assert (answer["valid"], answer["kind"], answer["repairs"]) == (True, "gitGraph", 2)
    assert "graph" not in answer
    assert "response_format" not in gpt.requests[0]
    assert "checkout branch which is not yet created" in gpt.requests[1]["messages"][-1]["content"]


def test_another_kind_than_the_one_asked_is_not_taken(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue('pie\n  "a" : 1', WRITTEN_OK)
    answer = client.post("/api/diagrams", json={"text": TEXT, "kind": "gitGraph", "model": "qwen"}).json
    assert answer["repairs"] == 1
    assert "must be gitGraph" in gpt.requests[1]["messages"][-1]["content"]


def test_first_lines_of_kinds_without_schema_are_those_of_mermaid(shared_data: Path) -> None:
    cases = json.loads((shared_data / "mermaid/valid_sample.json").read_text())
    for kind, first in WRITTEN.items():
        firsts = {case["code"].split()[0] for case in cases if case["type"] == kind}
        assert firsts & {first, f"{first}-beta"}, kind


@pytest.mark.parametrize("kind", ["sequence", "state", "mindmap"])
def test_a_diagram_of_any_kind_is_changed_by_its_schema(client: FlaskClient, gpt: FakeGpt, kind: str) -> None:
    mermaid = KINDS[kind].serialize(drawing_of(kind, ["a", "b", "c", "d"])[0], None)
    gpt.enqueue(_data(kind))
    body = {"mermaid": mermaid, "instruction": "ajoute une validation", "model": "qwen", "text": TEXT}
    answer = client.post("/api/diagrams", json=body).json
    assert (answer["valid"], answer["kind"]) == (True, kind)
    system, asked = gpt.requests[0]["messages"]
    assert mermaid.strip() in asked["content"]
    assert ('"direction"' in system["content"]) == KINDS[kind].directed
    assert any("source" in item for item in _walk(answer["graph"]))


def test_a_diagram_can_be_drawn_as_another_kind(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(_data("sequence"))
    body = {"mermaid": "flowchart TD\n a-->b", "instruction": "plus vertical", "kind": "sequence", "model": "qwen"}
    answer = client.post("/api/diagrams", json=body).json
    assert answer["mermaid"].startswith("sequenceDiagram\n")


def test_a_written_kind_is_changed_as_mermaid(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(WRITTEN_OK)
    body = {"mermaid": "gitGraph\n  commit", "instruction": "ajoute une branche", "model": "qwen"}
    answer = client.post("/api/diagrams", json=body).json
    assert (answer["valid"], answer["kind"]) == (True, "gitGraph")


def _walk(value: Any) -> Any:
    if isinstance(value, dict):
        if "label" in value:
            yield value
        for inner in value.values():
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)
