"""Every kind with a schema: what the model may write, and labels that Mermaid reads and shows as they were given."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chat.diagrams.kinds import registry
from chat.diagrams.kinds.registry import KINDS
from chat.diagrams.labels import GraphError, clean_label
from chat.diagrams.node import find_node
from chat.diagrams.parser import VALIDATOR, MermaidParser
from tests.chat.drawings import drawing_of
from tests.chat.hostile import LABELS, random_label

READER = Path(__file__).with_name("read_labels.mjs")
HOSTILE = [label for label in map(clean_label, LABELS) if label]
FOURS = [[*HOSTILE[i : i + 4], "a", "b", "c"][:4] for i in range(0, len(HOSTILE), 4)]
LONG_WORDS = ["<script>alert(1)</script>", "https://exemple.fr/chemin?x=1&y=2#fin;suite", "un", "(a<b>c&d;e#f)"]


@pytest.fixture(scope="module")
def understood() -> Iterator[Callable[[str], list[str]]]:
    """The labels that Mermaid's parser finds in a diagram."""
    node = find_node()
    if node is None or not (VALIDATOR.parent / "node_modules" / "mermaid").is_dir():
        pytest.skip("needs Node 20 and the mermaid package")
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with subprocess.Popen([str(node), str(READER), str(VALIDATOR)], **pipe) as process:  # type: ignore[call-overload]

        def read(text: str) -> list[str]:
            process.stdin.write(json.dumps({"text": text}) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert "error" not in answer, (answer["error"], text)
            return [label for label in answer["labels"] if label.strip()]

        yield read
        process.stdin.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_label_comes_back_from_the_parser(kind: str, understood: Callable[[str], list[str]]) -> None:
    rng = random.Random(5)
    drawn = [label for label in (clean_label(random_label(rng)) for _ in range(24)) if label]
    turned = [four[turn:] + four[:turn] for four in FOURS for turn in range(4)]
    for four in [*turned, *(drawn[i : i + 4] for i in range(0, len(drawn) - 3, 4))]:
        drawing, labels = drawing_of(kind, four)
        text = KINDS[kind].serialize(drawing, rng.choice((None, "TD", "LR")))
        expected = [_seen(label) for label in labels if label.strip()]
        assert [_seen(label) for label in understood(text)] == expected, text


def test_every_label_is_shown() -> None:
    """Drawn by Mermaid in a browser, every label of every kind is in the picture."""
    chromium, script = shutil.which("chromium"), VALIDATOR.parent / "node_modules/mermaid/dist/mermaid.min.js"
    if chromium is None or not script.is_file():
        pytest.skip("needs chromium and the mermaid package")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page()
        page.set_content("<body></body>")
        page.add_script_tag(path=str(script))
        page.evaluate("mermaid.initialize({startOnLoad: false, securityLevel: 'strict'})")
        for number, (kind, spec) in enumerate(KINDS.items()):
            for four in [LONG_WORDS, *FOURS[number % 4 :: 4]]:
                drawing, labels = drawing_of(kind, four)
                shown = _joined(page.evaluate(_DRAW, spec.serialize(drawing, None)))
                assert [label for label in labels if _joined(label) not in shown] == [], kind
        browser.close()


_DRAW = """async text => {
  document.body.innerHTML = (await mermaid.render('drawn', text)).svg;
  for (const style of document.querySelectorAll('style')) style.remove();
  return document.querySelector('svg').textContent;
}"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_direction_is_taken_by_every_kind(kind: str, mermaid_parser: MermaidParser) -> None:
    drawing, _labels = drawing_of(kind, ["un", "deux", "trois", "quatre"])
    for direction in (None, "TD", "LR"):
        verdict = mermaid_parser.check(KINDS[kind].serialize(drawing, direction))  # type: ignore[arg-type]
        assert (verdict.valid, verdict.kind) == (True, kind), verdict.problem


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_strict_and_accepts_what_is_shown_to_the_model(kind: str) -> None:
    def walk(schema: dict[str, Any]) -> None:
        if schema["type"] == "object":
            assert schema["additionalProperties"] is False
            assert set(schema["required"]) <= set(schema["properties"])
            assert "source" not in schema["properties"]
            for inner in schema["properties"].values():
                walk(inner)
        elif schema["type"] == "array":
            walk(schema["items"])

    walk(KINDS[kind].schema)
    for language in ("fr", "en"):
        assert all(f'"{name}"' in KINDS[kind].instructions[language] for name in KINDS[kind].schema["required"])  # type: ignore[index]


WRONG: list[tuple[str, Any, str]] = [
    (
        "sequence",
        {"participants": [{"id": "a", "label": "A"}], "messages": [{"from": "a", "to": "b", "label": "x"}]},
        '"b"',
    ),
    ("sequence", {"participants": [{"id": "a", "label": " "}], "messages": []}, "participants.0.label"),
    ("class", {"classes": [{"id": "a", "label": "A"}, {"id": "a", "label": "B"}]}, "used twice"),
    ("state", {"states": []}, "states"),
    ("er", {"entities": [{"id": "a", "label": "A"}], "relations": [{"from": "a", "to": "z"}]}, '"z"'),
    ("gantt", {"sections": [{"label": "S", "tasks": [{"id": "a", "label": "A", "start": "demain"}]}]}, "start"),
    ("gantt", {"sections": [{"label": "S", "tasks": [{"id": "a", "label": "A", "after": "a"}]}]}, "before it"),
    ("mindmap", {"ideas": [{"id": "a", "label": "A"}, {"id": "b", "label": "B", "parent": "b"}]}, '"b"'),
    ("timeline", {"periods": [{"label": "1998", "events": []}]}, "events"),
    ("journey", {"sections": [{"label": "S", "tasks": [{"label": "A", "score": 6}]}]}, "score"),
    ("pie", {"slices": [{"label": "A", "value": -1}]}, "value"),
    ("pie", {"slices": [{"label": "A", "value": 0}]}, "above 0"),
]


@pytest.mark.parametrize(("kind", "data", "words"), WRONG)
def test_what_cannot_be_drawn_is_told_to_the_model(kind: str, data: Any, words: str) -> None:
    with pytest.raises(GraphError, match=words):
        KINDS[kind].read(json.dumps(data))


def test_a_cut_answer_is_no_drawing() -> None:
    with pytest.raises(GraphError, match="too long"):
        KINDS["pie"].read('{"slices":[', cut=True)


def test_a_gantt_without_dates_shows_none(mermaid_parser: MermaidParser) -> None:
    tasks = [{"id": "a", "label": "Étude", "days": 3}, {"id": "b", "label": "Recette"}]
    drawing = KINDS["gantt"].read(json.dumps({"sections": [{"label": "S", "tasks": tasks}]}))
    text = KINDS["gantt"].serialize(drawing, None)
    assert "axisFormat J%-j" in text
    assert "Recette :t2, after t1, 1d" in text
    assert mermaid_parser.check(text).valid is True


def test_a_gantt_keeps_the_dates_it_was_given() -> None:
    tasks = [{"id": "a", "label": "Étude", "days": 3}, {"id": "b", "label": "Recette", "start": "2026-03-02"}]
    drawing = KINDS["gantt"].read(json.dumps({"sections": [{"label": "S", "tasks": tasks}]}))
    text = KINDS["gantt"].serialize(drawing, None)
    assert "axisFormat" not in text
    assert "Étude :t1, 2026-03-02, 3d" in text


def test_the_cases_of_a_choice_are_one_block() -> None:
    messages = [
        {"from": "a", "to": "b", "label": "x", "block": {"kind": "alt", "label": "oui"}},
        {"from": "a", "to": "b", "label": "y", "block": {"kind": "alt", "label": "oui"}},
        {"from": "b", "to": "a", "label": "z", "kind": "reply", "block": {"kind": "alt", "label": "non"}},
        {"from": "b", "to": "a", "label": "t"},
    ]
    people = [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]
    drawing = KINDS["sequence"].read(json.dumps({"participants": people, "messages": messages}))
    lines = [line.strip() for line in KINDS["sequence"].serialize(drawing, None).splitlines()[3:]]
    assert lines == ["alt oui", "p1->>p2: x", "p1->>p2: y", "else non", "p2-->>p1: z", "end", "p2->>p1: t"]


def test_slices_of_one_name_are_added() -> None:
    slices = [{"label": "A", "value": 1.25}, {"label": "B", "value": 1}, {"label": "A", "value": 2}]
    drawing = KINDS["pie"].read(json.dumps({"slices": slices}))
    assert KINDS["pie"].serialize(drawing, None) == 'pie\n    "A" : 3.25\n    "B" : 1\n'


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("+ouvrir(mode)", "+ouvrir(mode)"),
        ("fermer", "fermer()"),
        ("-lire() texte", "-lire() texte"),
        ("a)(", "a#41;#40;()"),
    ],
)
def test_methods_are_written_as_mermaid_reads_them(label: str, written: str) -> None:
    drawing = KINDS["class"].read(json.dumps({"classes": [{"id": "a", "label": "A", "methods": [label]}]}))
    assert KINDS["class"].serialize(drawing, None).splitlines()[2].strip() == written


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sequenceDiagram", "sequence"),
        ("GANTT", "gantt"),
        (" pie ", "pie"),
        ("graph", "flowchart"),
        ("séquence", "sequence"),
        ("gitgraph", "gitGraph"),
        ("xychart-beta", "xychart"),
        ("dessin", None),
    ],
)
def test_a_kind_is_known_by_its_usual_names(name: str, kind: str | None) -> None:
    assert registry.named(name) == kind


def _seen(text: str) -> str:
    """As the eye takes it: white space single, invisible joiners aside."""
    return " ".join(text.replace("\u200c", "").split())


def _joined(text: str) -> str:
    """Without white space, which is also where Mermaid breaks lines."""
    return "".join(text.replace("\u200c", "").split())
