"""The embedded model as it ships: it loads, draws what it is told, and its card says what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.mini.generate import Mini
from bench.mini.measures import overlap
from chat.embedded_prompts import diagram_request, minutes_request
from gpt.embedded.training.card import DIAGRAM_NAMES, MINUTES_NAMES, french

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "gpt" / "embedded" / "frigo-mini"
RESULTS = ROOT / "bench" / "results" / "frigo_mini.json"


@pytest.fixture(scope="module")
def mini() -> Mini:
    return Mini(FOLDER)


def words(text: str) -> str:
    return " ".join(text.split())


def test_draws_an_easy_process(mini: Mini) -> None:
    graph = mini.request(diagram_request("Le client envoie une demande. Le système enregistre la demande."))
    assert graph is not None
    labels = [node["label"] for node in graph["nodes"]]
    for wanted in ("Le client envoie une demande", "Le système enregistre la demande"):
        assert max(overlap(label, wanted) for label in labels) >= 0.5, labels
    assert {"from": "n1", "to": "n2"} in graph["edges"]


def test_finds_a_condition(mini: Mini) -> None:
    text = (
        "Le vendeur vérifie le stock. Si le produit est disponible, le magasinier prépare le colis, "
        "sinon le vendeur appelle le client."
    )
    graph = mini.request(diagram_request(text))
    assert graph is not None
    assert any(
        node["kind"] == "decision" and overlap(node["label"], "le produit est disponible") >= 0.5
        for node in graph["nodes"]
    )


def test_copies_words_that_it_never_saw(mini: Mini) -> None:
    text = "Le zorglub brafoque la quintuvelle. Ensuite le plirtanier dézinjoure les grabouttes mauvassines."
    graph = mini.request(diagram_request(text))
    assert graph is not None
    assert graph["nodes"]
    for node in graph["nodes"]:
        assert words(node["label"]) in text
    assert any("grabouttes" in node["label"] or "quintuvelle" in node["label"] for node in graph["nodes"])


def test_edges_join_nodes_of_the_graph(mini: Mini) -> None:
    text = (
        "SPEAKER_00: first the customer sends an email\n"
        "SPEAKER_01: then the clerk prints the order and the driver delivers it"
    )
    graph = mini.request(diagram_request(text))
    assert graph is not None
    names = [node["id"] for node in graph["nodes"]]
    assert names == [f"n{number}" for number in range(1, len(names) + 1)]
    assert all(edge["from"] in names and edge["to"] in names for edge in graph["edges"])


def test_minutes_use_the_words_of_the_meeting(mini: Mini) -> None:
    text = (
        "Alice: Aujourd'hui nous parlons du budget.\nBruno: On décide de garder le fournisseur.\n"
        "Alice: Je vais envoyer le contrat demain."
    )
    minutes = mini.request(minutes_request(text))
    assert minutes is not None
    assert list(minutes) == ["summary", "decisions", "actions", "open_points"]
    assert words(minutes["summary"]) in text
    assert any(overlap(action["what"], "envoyer le contrat") >= 0.5 for action in minutes["actions"])


def test_knows_what_frigo_is(mini: Mini) -> None:
    answer = mini.answer([{"role": "user", "content": "Qu'est-ce que Frigo ?"}], max_tokens=100)
    assert "réunion" in answer


def test_folder_is_small_and_complete() -> None:
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sum(files.values()) <= 40 * 1024 * 1024
    assert {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "generation_config.json",
        "README.md",
    } <= set(files)


def test_card_gives_the_measured_scores() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    scores = json.loads(RESULTS.read_text(encoding="utf-8"))
    for key, name in DIAGRAM_NAMES.items():
        expected = f"| {name} | {french(scores['diagrams']['fr'][key])} | {french(scores['diagrams']['en'][key])} |"
        assert expected in text
    for key, name in MINUTES_NAMES.items():
        assert f"| {name} | {french(scores['minutes'][key])} |" in text
    assert re.search(r"Données d'entraînement.*Ce qu'il ne sait pas faire", text, re.DOTALL)


def test_test_sets_are_consistent() -> None:
    rows = json.loads((ROOT / "bench" / "mini" / "diagrams.json").read_text(encoding="utf-8"))
    assert sum(row["language"] == "fr" for row in rows) >= 30
    assert sum(row["language"] == "en" for row in rows) >= 15
    for row in rows:
        assert all(node["label"] in row["text"] for node in row["graph"]["nodes"])
