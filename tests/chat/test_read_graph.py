"""What models write is read as a graph, or refused with a reason that the model can use."""

import json

import pytest

from chat.diagrams.graph import Graph, graph_schema
from chat.diagrams.labels import GraphError
from chat.diagrams.read import read_graph

GOOD = {
    "nodes": [
        {"id": "n1", "label": "La cliente écrit", "kind": "start", "actor": "human"},
        {"id": "n2", "label": "dossier complet", "kind": "decision", "actor": "system"},
    ],
    "edges": [{"from": "n1", "to": "n2", "label": "oui"}],
}


def _read(value: object) -> Graph:
    return read_graph(json.dumps(value))


def test_the_compact_json_of_the_contract_is_read_back_the_same() -> None:
    assert _read(GOOD).public() == GOOD


@pytest.mark.parametrize(
    "wrapped",
    [
        "```json\n{}\n```",
        "```\n{}\n```",
        "Voici le graphe :\n{}\nBonne lecture !",
        "<think>{{ hmm }}</think>\n{}",
    ],
)
def test_fences_thoughts_and_talk_around_are_left_out(wrapped: str) -> None:
    written = wrapped.replace("{}", json.dumps(GOOD)).replace("{{ hmm }}", "{ hmm }")
    assert read_graph(written).public() == GOOD


def test_ids_may_be_numbers_and_kinds_synonyms() -> None:
    graph = _read(
        {
            "nodes": [
                {"id": 1, "label": "a", "type": "Condition"},
                {"id": 2, "label": "b", "kind": "x", "actor": "IA"},
            ],
            "edges": [{"source": 1, "target": 2}],
        }
    )
    assert [(n.id, n.kind, n.actor) for n in graph.nodes] == [("1", "decision", None), ("2", "action", "ai")]
    assert (graph.edges[0].from_, graph.edges[0].to, graph.edges[0].label) == ("1", "2", None)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "no JSON object"),
        ("Je ne sais pas.", "no JSON object"),
        ("[1]", "no JSON object"),
        ('{"nodes": [', "not valid JSON"),
        ('{"a": 1}', '"nodes"'),
        ('{"nodes": 3}', '"nodes"'),
        ('{"nodes":[{"id":"a","label":"x"}],"edges":[{"from":"a","to":"b"}]}', '"b", which does not exist'),
        ('{"nodes":[{"id":"a","label":"x"},{"id":"a","label":"y"}]}', 'id "a"'),
        ('{"nodes":[{"label":"x"}]}', "nodes.0.id"),
        ('{"nodes":' + "[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_wrong_is_said(written: str, reason: str) -> None:
    with pytest.raises(GraphError, match=reason.replace("[", r"\[")):
        read_graph(written)


def test_more_nodes_than_can_be_read_are_refused() -> None:
    with pytest.raises(GraphError, match="nodes"):
        _read({"nodes": [{"id": str(i), "label": "x"} for i in range(201)]})


def test_an_answer_cut_anywhere_gives_what_is_whole_or_an_error() -> None:
    whole = json.dumps(GOOD, ensure_ascii=False)
    labels = [node["label"] for node in GOOD["nodes"]]
    read = set()
    for length in range(len(whole)):
        try:
            graph = read_graph(whole[:length], cut=True)
        except GraphError:
            continue
        assert [node.label for node in graph.nodes] == labels[: len(graph.nodes)]
        read.add(len(graph.nodes))
    assert read == {1, 2}


def test_the_schema_accepts_what_is_read_and_nothing_else() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = graph_schema()
    jsonschema.validate(GOOD, schema)
    for wrong in (
        {},
        {"nodes": [], "edges": []},
        {**GOOD, "more": 1},
        {**GOOD, "nodes": [{"id": "end", "label": "x"}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
