"""A refusal names its line for every kind of diagram, and a parser that hangs on one diagram fails no other."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from chat.diagrams.node import find_node
from chat.diagrams.parser import MermaidParser, Verdict

# What is wrong is on the line that begins with ✗ (the mark is taken off).
WRONG = [
    "sequenceDiagram\n  A->>B: x\n✗  A-->>>>B\n  B->>A: y",
    "classDiagram\n  class A\n✗  A <|-\n  class B",
    "stateDiagram-v2\n  [*] --> A\n✗  state {\n",
    "erDiagram\n  A ||--o{ B : x\n✗  A ||--o B\n  B ||--o{ C : y",
    "gantt\n  dateFormat YYYY-MM-DD\n  section S\n✗  t1 a1, 2026-01-01, 3d\n",
    "mindmap\n  a\n    b\n✗  c\n    d",
    "timeline\n  title x\n✗  : : :\n",
    "journey\n  title x\n  section s\n✗  faire 5\n",
    'pie\n  "a" : 1\n✗  b : 2\n',
    'pie\n  "a" : 1\n✗  "b" : -2\n  "c" : 3',
    "gitGraph\n  commit\n✗  checkout nulle_part\n  commit",
    'packet-beta\n0-15: "a"\n✗14-20: "b"\n',
    'treemap-beta\n"a"\n✗  "b": x\n',
    "quadrantChart\n  title x\n✗  x-axis -->\n",
    "sankey-beta\na,b,1\n✗a,b\n",
    'C4Context\n  Person(a, "A")\n✗  Personn(b)\n',
    "---\ntitle: [\n✗---\nflowchart TD\n  a-->b",
    "%% note\nflowchart TD\n✗  A@{ shape: nulle }\n  A --> B",
]


@pytest.mark.parametrize("marked", WRONG)
def test_the_line_of_a_refusal_is_named_whatever_the_kind(mermaid_parser: MermaidParser, marked: str) -> None:
    line = marked[: marked.index("✗")].count("\n") + 1
    verdict = mermaid_parser.check(marked.replace("✗", ""))
    assert verdict.valid is False
    assert verdict.problem is not None
    assert (verdict.problem.line, bool(verdict.problem.message)) == (line, True), verdict.problem


def test_every_refused_official_example_names_a_line(mermaid_parser: MermaidParser, shared_data: Path) -> None:
    for case in json.loads((shared_data / "mermaid/invalid.json").read_text()):
        verdict = mermaid_parser.check(case["code"])
        assert verdict.problem is not None
        lines = case["code"].count("\n") + 1
        assert verdict.kind is None or (verdict.problem.line is not None and 1 <= verdict.problem.line <= lines)


def test_a_diagram_that_hangs_the_parser_fails_no_other(tmp_path: Path) -> None:
    if find_node() is None:
        pytest.skip("no Node 20 on this machine")
    package = tmp_path / "node_modules" / "mermaid"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"version": "0"}')
    script = tmp_path / "validator.mjs"
    script.write_text(
        """import { createInterface } from "node:readline";
const write = answer => process.stdout.write(JSON.stringify(answer) + "\\n");
createInterface({ input: process.stdin }).on("line", line => {
  const { id, text } = JSON.parse(line);
  if (text === "hang") for (;;);
  if (text === "die") process.abort();
  write({ id, valid: true, kind: "pie" });
});
write({ ready: true, version: "0" });
"""
    )
    parser = MermaidParser(script=script, parse_timeout=3)
    verdicts: dict[int, Verdict] = {}

    def check(number: int, text: str) -> None:
        verdicts[number] = parser.check(text)

    texts = ["hang", "a", "die", "b", "c"]
    threads = [threading.Thread(target=check, args=(n, text)) for n, text in enumerate(texts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    parser.close()
    assert [verdicts[n].valid for n in range(len(texts))] == [None, True, None, True, True]
    assert verdicts[0].unknown is not None
