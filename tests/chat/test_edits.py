"""Changes of a diagram that need no model: done at once, and nothing else is touched."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from chat.diagrams import edits
from chat.diagrams.graph import Graph
from chat.diagrams.kinds.registry import KINDS
from chat.diagrams.parser import MermaidParser
from chat.diagrams.serialize import serialize
from common.errors import ApiError
from tests.chat.drawings import drawing_of
from tests.chat.fake_gpt import FakeGpt

FLOW = serialize(
    Graph.model_validate(
        {
            "nodes": [{"id": "a", "label": 'Dire "oui"', "actor": "ai"}, {"id": "b", "label": "graph LR direction TB"}],
            "edges": [{"from": "a", "to": "b", "label": "ok"}],
        }
    )
)


@pytest.mark.parametrize(
    ("instruction", "direction"),
    [
        ("plus vertical", "TB"),
        ("Mets le diagramme à la verticale, s'il te plaît.", "TB"),
        ("de haut en bas", "TB"),
        ("Make it more vertical!", "TB"),
        ("plus horizontal", "LR"),
        ("Tourne le schéma de gauche à droite", "LR"),
        ("left to right please", "LR"),
        ("direction LR", "LR"),
        ("moins vertical", "LR"),
        ("bottom to top", "BT"),
        ("plus vertical et ajoute une validation", None),
        ("ajoute une étape verticale", None),
        ("simplifie", None),
        ("", None),
    ],
)
def test_a_direction_is_understood_when_nothing_else_is_asked(instruction: str, direction: str | None) -> None:
    assert edits.direction_asked(instruction) == direction


def test_only_the_direction_of_a_flowchart_changes() -> None:
    turned = edits.apply(FLOW, "plus horizontal", "flowchart")
    assert turned is not None
    assert turned.splitlines() == ["flowchart LR", *FLOW.splitlines()[1:]]
    assert edits.apply(turned, "plus vertical", "flowchart") == FLOW


@pytest.mark.parametrize(
    ("given", "turned"),
    [
        ("graph TB\n  a-->b", "graph LR\n  a-->b"),
        ("graph\n  a-->b", "graph LR\n  a-->b"),
        ("---\ntitle: x\n---\n%% graph TD\nflowchart TD\n a", "---\ntitle: x\n---\n%% graph TD\nflowchart LR\n a"),
        ("graph TD;a-->b;", "graph LR;a-->b;"),
    ],
)
def test_flowcharts_written_by_others_are_turned_too(given: str, turned: str, mermaid_parser: MermaidParser) -> None:
    assert edits.apply(given, "plus horizontal", "flowchart") == turned
    assert mermaid_parser.check(turned).valid is True


@pytest.mark.parametrize("kind", ["flowchart", "class", "state", "er", "timeline"])
def test_every_kind_that_has_a_direction_can_be_turned(kind: str, mermaid_parser: MermaidParser) -> None:
    drawing, _labels = drawing_of(kind, ["un", "direction LR", "trois", "timeline"])
    for given in (None, "TD"):
        before = KINDS[kind].serialize(drawing, given)  # type: ignore[arg-type]
        turned = edits.apply(before, "plus horizontal", kind)
        assert turned == KINDS[kind].serialize(drawing, "LR")
        assert mermaid_parser.check(turned).valid is True


@pytest.mark.parametrize("kind", ["sequence", "gantt", "pie", "mindmap", "journey"])
def test_a_kind_without_direction_says_so(kind: str) -> None:
    drawing, _labels = drawing_of(kind, ["un", "deux", "trois", "quatre"])
    with pytest.raises(ApiError) as raised:
        edits.apply(KINDS[kind].serialize(drawing, None), "plus vertical", kind)
    assert (raised.value.status, raised.value.param) == (400, "direction")
    assert "flowchart, class, state, er, timeline" in str(raised.value.message)


def test_colours_are_taken_away() -> None:
    plain = edits.apply(FLOW, "sans les couleurs", "flowchart")
    assert plain is not None
    assert plain.splitlines() == [line for line in FLOW.splitlines() if "class" not in line]


def test_a_label_is_renamed_whole_and_quoted(mermaid_parser: MermaidParser) -> None:
    renamed = edits.apply(FLOW, 'Renomme « Dire "oui" » en « Dire #non (fin) ».', "flowchart")
    assert renamed is not None
    assert renamed == FLOW.replace("Dire #34;oui#34;", "Dire #35;non (fin)")
    assert mermaid_parser.check(renamed).valid is True
    assert edits.apply("flowchart TD\n  a[Payer]-->b[Payer plus]", 'rename "Payer" to "Régler"', "flowchart") == (
        'flowchart TD\n  a["Régler"]-->b[Payer plus]'
    )
    assert edits.apply(FLOW, "renomme « Absent » en « x »", "flowchart") is None


def test_an_edit_needs_no_model(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.models = []
    answer = client.post("/api/diagrams", json={"mermaid": FLOW, "instruction": "plus horizontal"})
    assert answer.status_code == 200
    assert answer.json["mermaid"].startswith("flowchart LR\n")
    assert (answer.json["valid"], answer.json["model"], answer.json["repairs"]) == (True, None, 0)
    assert "graph" not in answer.json
    assert gpt.requests == []


def test_an_instruction_about_the_direction_has_the_last_word(client: FlaskClient) -> None:
    asked = {"mermaid": FLOW, "instruction": "plus horizontal", "direction": "TD"}
    assert client.post("/api/diagrams", json=asked).json["mermaid"].startswith("flowchart LR\n")
    asked = {"mermaid": FLOW, "instruction": "sans couleurs", "direction": "LR"}
    assert client.post("/api/diagrams", json=asked).json["mermaid"].startswith("flowchart LR\n")
    asked = {"mermaid": 'mindmap\n  a["x"]', "instruction": "renomme « x » en « y »", "direction": "LR"}
    renamed = client.post("/api/diagrams", json=asked).json
    assert renamed["mermaid"] == 'mindmap\n  a["y"]'
    assert len(renamed["warnings"]) == 1


def test_what_needs_a_model_is_refused_by_the_embedded_one_with_what_it_can_do(client: FlaskClient) -> None:
    answer = client.post("/api/diagrams", json={"mermaid": FLOW, "instruction": "raconte la suite"})
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "instruction")
    assert "plus vertical" in answer.json["error"]["message"]


def test_spaces_are_not_tried_in_every_way() -> None:
    """It took hours."""
    assert edits.apply("flowchart TD\n  a[x] --> b", f'renomme "{" " * 3000}', "flowchart") is None
