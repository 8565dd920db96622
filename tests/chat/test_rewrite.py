"""Changes of a flowchart's steps that need no model."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from chat.diagrams import rewrite
from chat.diagrams.graph import Graph
from chat.diagrams.kinds.registry import KINDS
from chat.diagrams.parser import MermaidParser
from chat.diagrams.serialize import serialize
from tests.chat.drawings import drawing_of
from tests.chat.fake_gpt import FakeGpt
from tests.chat.hostile import LABELS

STEPS: dict[str, Any] = {
    "nodes": [
        {"id": "n1", "label": "Recevoir", "kind": "start", "actor": "human"},
        {"id": "n2", "label": "Lire", "actor": "system"},
        {"id": "n3", "label": "Classer (vite)", "actor": "system"},
        {"id": "n4", "label": "Complet ?", "kind": "decision"},
        {"id": "n5", "label": "Archiver", "kind": "end", "actor": "goal"},
    ],
    "edges": [
        {"from": "n1", "to": "n2"},
        {"from": "n2", "to": "n3"},
        {"from": "n3", "to": "n4"},
        {"from": "n4", "to": "n5", "label": "oui"},
        {"from": "n4", "to": "n1", "label": "non"},
    ],
}
FLOW = serialize(Graph.model_validate(STEPS))


def changed(instruction: str) -> list[str]:
    """The lines of boxes and links after the change."""
    found = rewrite.exactly(FLOW, instruction) or rewrite.roughly(FLOW, instruction)
    assert found is not None
    return [line.strip() for line in serialize(*found).splitlines()[1:] if "class" not in line]


@pytest.mark.parametrize("labels", [LABELS[start : start + 4] for start in range(0, len(LABELS) - 3, 4)])
@pytest.mark.parametrize("direction", ["TD", "LR"])
def test_what_is_written_is_read_again(labels: list[str], direction: Any) -> None:
    drawing, _shown = drawing_of("flowchart", labels)
    written = KINDS["flowchart"].serialize(drawing, direction)
    read = rewrite.read_flowchart(written)
    if read is None:  # marks that are parted invisibly, and nothing else
        assert "\u200c" in written
        return
    assert serialize(*read) == written


@pytest.mark.parametrize(
    "given", ["flowchart TD\n  a --> b", "graph TD\n", "pie", "", "flowchart TD\n    n1 --> n2", "x"]
)
def test_diagrams_of_others_are_left_to_a_model(given: str) -> None:
    assert rewrite.read_flowchart(given) is None
    assert rewrite.exactly(given, "supprime « a »") is None


@pytest.mark.parametrize(
    "instruction", ["supprime l'étape « Lire »", 'Remove "lire".', "Retire « LIRE », s'il te plaît"]
)
def test_a_step_is_taken_away_and_its_neighbours_joined(instruction: str) -> None:
    lines = changed(instruction)
    assert [line for line in lines if "-->" not in line] == [
        'n1(["Recevoir"])', 'n2["Classer (vite)"]', 'n3{"Complet ?"}', 'n4(["Archiver"])'
    ]  # fmt: skip
    assert "n1 --> n2" in lines
    assert len([line for line in lines if "-->" in line]) == 4


def test_a_step_is_added_before_or_after_another() -> None:
    before = changed("ajoute l'étape « Trier » avant « Classer (vite) »")
    assert before[2:4] == ['n3["Trier"]', 'n4["Classer (vite)"]']
    assert {"n2 --> n3", "n3 --> n4", "n4 --> n5"} <= set(before)
    after = changed('add a step "Noter" after "Complet ?"')
    assert 'n5["Noter"]' in after
    assert {"n4 --> n5", 'n5 -->|"oui"| n6', 'n5 -->|"non"| n1'} <= set(after)


def test_a_validation_is_a_question_before_the_end() -> None:
    lines = changed("ajoute une validation")
    assert 'n5{"Validation ?"}' in lines
    assert {'n4 -->|"oui"| n5', 'n5 -->|"oui"| n6', 'n5 -->|"non"| n4', 'n4 -->|"non"| n1'} <= set(lines)


def test_a_validation_is_put_where_it_is_asked() -> None:
    lines = changed("Ajoute une étape de relecture après « Lire ».")
    assert 'n3{"Relecture ?"}' in lines
    assert {"n2 --> n3", 'n3 -->|"oui"| n4', 'n3 -->|"non"| n2'} <= set(lines)
    assert 'n2{"Review?"}' in changed('Add a review before "Lire"')


def test_simplifying_puts_successive_steps_of_one_actor_in_one_box() -> None:
    lines = changed("simplifie")
    assert 'n2["Lire<br/>Classer (vite)"]' in lines
    assert len([line for line in lines if "-->" not in line]) == 4


@pytest.mark.parametrize(
    "instruction",
    ["ajoute une validation et change les couleurs", "simplifie en gardant « Lire »", "supprime « Absent »",
     "ajoute « X » après « Absent »", "ajoute une validation après « Complet ? »", "", "supprime tout"],
)  # fmt: skip
def test_what_is_not_understood_whole_is_left_to_a_model(instruction: str) -> None:
    assert rewrite.exactly(FLOW, instruction) is None
    assert rewrite.roughly(FLOW, instruction) is None


@pytest.mark.parametrize("instruction", ["ajoute une validation", "simplifie", "supprime « Lire »"])
def test_the_embedded_model_is_not_needed(client: FlaskClient, gpt: FakeGpt, instruction: str) -> None:
    answer = client.post("/api/diagrams", json={"mermaid": FLOW, "instruction": instruction, "text": "Lire. Archiver."})
    assert answer.status_code == 200
    assert (answer.json["valid"], answer.json["model"], answer.json["repairs"]) == (True, None, 0)
    assert answer.json["mermaid"] != FLOW
    labels = [node["label"] for node in answer.json["graph"]["nodes"]]
    assert "Archiver" in labels
    assert gpt.requests == []


def test_a_model_that_can_write_does_what_is_a_matter_of_taste(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue({"direction": "TD", **STEPS})
    answer = client.post("/api/diagrams", json={"mermaid": FLOW, "instruction": "simplifie", "model": "qwen"})
    assert answer.json["model"] == "qwen3-4b"


def test_every_label_survives_a_change(mermaid_parser: MermaidParser) -> None:
    for label in LABELS:
        graph = Graph.model_validate(
            {"nodes": [{"id": "a", "label": label}, {"id": "b", "label": "Fin"}], "edges": [{"from": "a", "to": "b"}]}
        )
        found = rewrite.roughly(serialize(graph), "ajoute une validation")
        if found is not None:
            made = serialize(*found)
            assert mermaid_parser.check(made).valid is True
            assert serialize(graph).splitlines()[1] in made


@pytest.mark.parametrize(
    "instruction",
    [
        f'supprime "Lire"{" " * 3000}x',
        f'supprime "{" " * 3000}',
        f'ajoute "{" " * 3000}x',
        f"ajoute une validation{' ' * 3000}x",
        f"simplifie le graphe{' ' * 3000}x",
    ],
)
def test_spaces_are_not_tried_in_every_way(instruction: str) -> None:
    """Each took hours."""
    assert rewrite.exactly(FLOW, instruction) is None
    assert rewrite.roughly(FLOW, instruction) is None


def test_spaces_more_or_less_do_not_matter() -> None:
    assert changed("supprime   «   Lire  »  .") == changed("supprime « Lire »")
