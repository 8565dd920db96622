"""The serializer's promise: any label survives, and the diagram always parses."""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chat.diagrams import graph as graphs
from chat.diagrams.escape import quote
from chat.diagrams.graph import Edge, Graph, Node
from chat.diagrams.labels import GraphError, clean_label
from chat.diagrams.parser import VALIDATOR, MermaidParser
from chat.diagrams.serialize import COLOURS, TEXT_COLOUR, serialize
from tests.chat.hostile import LABELS, random_label

KINDS = ("start", "action", "decision", "end")
ACTORS = ("human", "system", "ai", "goal", None)


@pytest.fixture(scope="module")
def parser() -> Iterator[MermaidParser]:
    parser = MermaidParser()
    if reason := parser.missing():
        pytest.skip(str(reason))
    yield parser
    parser.close()


def _chain(labels: list[str]) -> Graph:
    """One node per label, each linked to the next by an edge of the same label."""
    nodes = [
        Node(id=f"x{i}", label=label, kind=KINDS[i % 4], actor=ACTORS[i % 5])  # type: ignore[arg-type]
        for i, label in enumerate(labels)
    ]
    edges = [
        Edge.model_validate({"from": f"x{i}", "to": f"x{i + 1}", "label": label[:120]})
        for i, label in enumerate(labels[:-1])
    ]
    return Graph(nodes=nodes, edges=edges)


def test_a_graph_has_one_readable_text() -> None:
    graph = Graph.model_validate(
        {
            "nodes": [
                {"id": "end", "label": "La cliente écrit", "kind": "start", "actor": "human"},
                {"id": "b", "label": "dossier complet", "kind": "decision", "actor": "system"},
                {"id": "c", "label": "Résumer (IA)", "kind": "action", "actor": "ai"},
                {"id": "d", "label": 'le contrat "signé"', "kind": "end", "actor": "goal"},
            ],
            "edges": [
                {"from": "end", "to": "b"},
                {"from": "b", "to": "c", "label": "oui"},
                {"from": "b", "to": "end", "label": "non"},
                {"from": "c", "to": "d"},
            ],
        }
    )
    assert serialize(graph, "LR") == (
        "flowchart LR\n"
        '    n1(["La cliente écrit"])\n'
        '    n2{"dossier complet"}\n'
        '    n3["Résumer (IA)"]\n'
        '    n4(["le contrat #34;signé#34;"])\n'
        "    n1 --> n2\n"
        '    n2 -->|"oui"| n3\n'
        '    n2 -->|"non"| n1\n'
        "    n3 --> n4\n"
        "    classDef system fill:#4A90D9,stroke:#2A6099,color:#111111\n"
        "    class n2 system\n"
        "    classDef ai fill:#50C878,stroke:#2B8A4B,color:#111111\n"
        "    class n3 ai\n"
        "    classDef human fill:#FF9F43,stroke:#B8651B,color:#111111\n"
        "    class n1 human\n"
        "    classDef goal fill:#E74C3C,stroke:#9C2A1D,color:#111111\n"
        "    class n4 goal\n"
    )


@pytest.mark.parametrize("label", LABELS)
def test_a_hostile_label_parses(parser: MermaidParser, label: str) -> None:
    verdict = parser.check(serialize(_chain([label, "b", label])))
    assert verdict.valid is True, verdict.problem


def test_500_random_graphs_of_hostile_labels_parse(parser: MermaidParser) -> None:
    rng = random.Random(20261121)
    for _ in range(500):
        graph = _chain([random_label(rng) for _ in range(rng.randint(1, 6))])
        text = serialize(graph, rng.choice(("TD", "LR")))
        verdict = parser.check(text)
        assert verdict.valid is True, (verdict.problem, text)


def test_the_largest_graph_parses(parser: MermaidParser) -> None:
    nodes = [Node(id=f"n{i}", label=f"Étape {i}", actor="system") for i in range(graphs.MAX_NODES)]
    edges = [
        Edge.model_validate({"from": f"n{i % graphs.MAX_NODES}", "to": f"n{i * 7 % graphs.MAX_NODES}"})
        for i in range(graphs.MAX_EDGES)
    ]
    assert parser.check(serialize(Graph(nodes=nodes, edges=edges))).valid is True


def test_text_is_readable_on_every_colour() -> None:
    for fill, _stroke in COLOURS.values():
        assert _contrast(fill, TEXT_COLOUR) >= 4.5


@pytest.mark.parametrize(
    ("label", "clean"),
    [
        ("  deux   mots\t ", "deux mots"),
        ("a\r\nb\n\n c ", "a\nb\nc"),
        ("\x00\x1b[0mx\u202e", "[0mx"),
        ("e\u0301", "é"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\ud800a", "\ufffda"),
        (" \n ", ""),
    ],
)
def test_labels_are_cleaned_without_losing_words(label: str, clean: str) -> None:
    assert clean_label(label) == clean
    assert clean_label(clean) == clean


def test_an_empty_label_is_still_a_label() -> None:
    assert quote("\n") == '" "'


def test_unknown_and_repeated_ids_are_named() -> None:
    with pytest.raises(GraphError, match='"zz"'):
        Graph.model_validate({"nodes": [{"id": "a", "label": "x"}], "edges": [{"from": "a", "to": "zz"}]}).check()
    with pytest.raises(GraphError, match='Two nodes have the id "a"'):
        Graph.model_validate({"nodes": [{"id": "a", "label": "x"}, {"id": "a", "label": "y"}]}).check()


def test_what_a_reader_sees_is_the_label() -> None:
    """Drawn by Mermaid in a browser, every node and edge shows its label: nothing was read as syntax or Markdown."""
    chromium, script = shutil.which("chromium"), VALIDATOR.parent / "node_modules/mermaid/dist/mermaid.min.js"
    if chromium is None or not script.is_file():
        pytest.skip("needs chromium and the mermaid package")
    rng = random.Random(7)
    labels = [clean_label(label) for label in [*LABELS, *(random_label(rng) for _ in range(130))]]
    labels = [label for label in labels if label]
    shown = _drawn(chromium, script, serialize(_chain(labels)))
    assert [_seen(text) for text in shown["nodes"]] == [_seen(label) for label in labels]
    edges = [clean_label(label[:120]) for label in labels[:-1]]
    assert [_seen(text) for text in shown["edges"]] == [_seen(label) for label in edges]


def _seen(text: str) -> str:
    """As the eye takes it: white space single, invisible joiners aside."""
    return " ".join(text.replace("\u200c", "").split())


_DRAW = """async text => {
  mermaid.initialize({startOnLoad: false, securityLevel: 'strict'});
  document.body.innerHTML = (await mermaid.render('drawn', text)).svg;
  const read = label => {
    for (const br of label.querySelectorAll('br')) br.replaceWith('\\n');
    return label.textContent;
  };
  const number = node => Number(/flowchart-n(\\d+)-/.exec(node.id)[1]);
  const nodes = [...document.querySelectorAll('g.node')].sort((a, b) => number(a) - number(b));
  return {
    nodes: nodes.map(node => read(node.querySelector('.nodeLabel'))),
    edges: [...document.querySelectorAll('span.edgeLabel')].map(read),
  };
}"""


def _drawn(chromium: str, script: Path, text: str) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        page = browser.new_page()
        page.set_content("<body></body>")
        page.add_script_tag(path=str(script))
        shown: dict[str, Any] = json.loads(json.dumps(page.evaluate(_DRAW, text)))
        browser.close()
    return shown


def _contrast(one: str, other: str) -> float:
    """WCAG contrast of two #RRGGBB colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
