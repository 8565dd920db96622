"""A Product Vision Board becomes a text to draw; what is missing or odd in it is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from chat.diagrams.pvb import read_board
from common.errors import ApiError
from tests.chat.fake_gpt import FakeGpt

BOARD = {
    "1. Utilisateur Cible": ["Bibliothécaires", "Lecteurs de la ville"],
    "2. Description du Produit": ["Carnet de prêts partagé"],
    "3. Fonctionnalités Clés": ["Rechercher un livre", "Réserver le livre"],
    "4. Enjeux et Indicateurs": ["Réduire les retards de 20 %"],
    "Summary": "Prêter sans papier",
}


def test_a_whole_board_is_read_in_order() -> None:
    board = read_board(dict(reversed(BOARD.items())))
    assert board.warnings == []
    assert board.text.startswith("1. Utilisateur Cible :\n- Bibliothécaires\n- Lecteurs de la ville\n\n2. Description")
    assert board.text.endswith("Summary :\n- Prêter sans papier")
    assert board.lines.splitlines()[3] == "Rechercher un livre"


def test_it_may_be_given_as_text() -> None:
    assert read_board(json.dumps(BOARD)) == read_board(BOARD)


@pytest.mark.parametrize("key", ["1 - utilisateurs cibles", "UTILISATEUR CIBLE", "Cible", "1) Public cible :"])
def test_a_section_is_known_by_its_usual_names(key: str) -> None:
    board = {key if name.startswith("1") else name: value for name, value in BOARD.items()}
    assert read_board(board).warnings == []


def test_missing_sections_are_named() -> None:
    (warning,) = read_board({"3. Fonctionnalités Clés": ["Payer"], "Summary": "x"}).warnings
    absent = "1. Utilisateur Cible, 2. Description du Produit, 4. Enjeux et Indicateurs"
    assert str(warning) == f"Sections absentes du Product Vision Board : {absent}."


def test_odd_empty_and_repeated_sections_are_named() -> None:
    board = read_board({**BOARD, "5. Budget": {"an 1": 3000, "an 2": [1, None]}, "Notes": [], "Cible": "Écoles"})
    said = [str(warning) for warning in board.warnings]
    assert said == [
        "Section inattendue, lue telle quelle : « 5. Budget ».",
        "Section vide, laissée de côté : « Notes ».",
        "Section donnée deux fois, réunie : « Cible ».",
    ]
    assert board.text.endswith("5. Budget :\n- an 1 : 3000\n- an 2 : 1")
    assert "- Lecteurs de la ville\n- Écoles" in board.text


@pytest.mark.parametrize("given", [{}, {"Summary": None}, [], 3, "", "{", "[1]", {"Summary": [[[[[["x"]]]]]]}])
def test_what_is_no_board_is_refused(given: Any) -> None:
    with pytest.raises(ApiError) as raised:
        read_board(given)
    assert (raised.value.status, raised.value.param) == (400, "pvb")


GRAPH = {
    "nodes": [{"id": "n1", "label": "Rechercher un livre"}, {"id": "n2", "label": "Réserver le livre"}],
    "edges": [{"from": "n1", "to": "n2"}],
}


def test_a_board_is_drawn_with_its_warnings_and_the_text_of_its_sources(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(GRAPH)
    partial = {key: value for key, value in BOARD.items() if key != "Summary"}
    answer = client.post("/api/diagrams", json={"pvb": partial, "model": "qwen"}).json
    assert answer["valid"] is True
    assert answer["warnings"] == ["Sections absentes du Product Vision Board : Summary."]
    source = answer["graph"]["nodes"][0]["source"]
    assert answer["text"][source["start"] : source["end"]] == "Rechercher un livre"
    system, asked = gpt.requests[0]["messages"]
    assert "Product Vision Board" in system["content"]
    assert asked["content"] == answer["text"]


def test_the_embedded_model_reads_its_sentences_only(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(GRAPH)
    answer = client.post("/api/diagrams", json={"pvb": BOARD}).json
    assert answer["model"] == "frigo-mini"
    assert "Utilisateur" not in gpt.requests[0]["messages"][1]["content"]
    assert answer["graph"]["nodes"][1]["source"]["score"] == 1


def test_what_the_embedded_model_took_from_the_goals_is_a_goal(client: FlaskClient, gpt: FakeGpt) -> None:
    nodes = [*GRAPH["nodes"], {"id": "n3", "label": "Réduire les retards", "actor": "human"}]
    gpt.enqueue({**GRAPH, "nodes": nodes})
    answer = client.post("/api/diagrams", json={"pvb": BOARD}).json
    assert [node.get("actor") for node in answer["graph"]["nodes"]] == [None, None, "goal"]
    assert "class n3 goal" in answer["mermaid"]
