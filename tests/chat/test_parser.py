"""The real Mermaid parser behind Python: right verdicts, named lines, bounded, restarted, never "probably"."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.diagrams.node import find_node
from chat.diagrams.parser import MermaidParser

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def parser() -> Iterator[MermaidParser]:
    parser = MermaidParser()
    if reason := parser.missing():
        pytest.skip(str(reason))
    yield parser
    parser.close()


def test_every_official_example_is_judged_as_mermaid_does(parser: MermaidParser, shared_data: Path) -> None:
    valid = json.loads((shared_data / "mermaid/valid_sample.json").read_text())
    invalid = json.loads((shared_data / "mermaid/invalid.json").read_text())
    assert [case["code"] for case in valid if parser.check(case["code"]).valid is not True] == []
    assert [case["code"] for case in invalid if parser.check(case["code"]).valid is not False] == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("flowchart TD\n  A[Début] --> B{Ça va ?}\n  B -->|oui| C([Fin])", "flowchart"),
        ("graph LR\n  a-->b", "flowchart"),
        ("sequenceDiagram\n  participant A\n  A->>B: Bonjour", "sequence"),
        ("classDiagram\n  class Chat", "class"),
        ("stateDiagram-v2\n  [*] --> Prêt", "state"),
        ('pie\n  "a" : 3', "pie"),
        ("mindmap\n  racine\n    feuille", "mindmap"),
        ("gantt\n  section S\n  t: a1, 2026-01-01, 3d", "gantt"),
    ],
)
def test_a_valid_diagram_is_valid_and_its_kind_named(parser: MermaidParser, text: str, kind: str) -> None:
    verdict = parser.check(text)
    assert (verdict.valid, verdict.kind, verdict.problem) == (True, kind, None)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("flowchart TD\n  A-->B\n  B[f(x)] --> C", 3),
        ("flowchart TD\n  A-->B\n%% a comment\n%% another\n  C(a(b)", 5),
        ("---\ntitle: x\n---\n%%{init: {'theme':'dark'}}%%\nflowchart TD\n %% c\n A[x(y)]-->B\n B-->C", 7),
        ("\n\nflowchart TD\n\n  1--|a|b", 5),
        ("flowchart TD\n  A-->\n", 2),
        ("flowchart TD\r\n  A-->B\r\n  B[(]", 3),
    ],
)
def test_the_refused_line_is_the_one_of_the_given_text(parser: MermaidParser, text: str, line: int) -> None:
    verdict = parser.check(text)
    assert verdict.valid is False
    assert verdict.kind == "flowchart"
    assert verdict.problem is not None
    assert verdict.problem.line == line
    assert f"line {line}" in verdict.problem.message


@pytest.mark.parametrize(
    "text", ["", "   \n", "bonjour", "error", "```mermaid\nflowchart TD\nA-->B\n```", "---\n---", "%%"]
)
def test_what_is_no_diagram_is_refused(parser: MermaidParser, text: str) -> None:
    verdict = parser.check(text)
    assert verdict.valid is False
    assert verdict.problem is not None
    assert verdict.problem.message


def test_messages_show_no_path_of_the_machine(parser: MermaidParser) -> None:
    for text in (
        "flowchart TD\n A[x(y)]",
        'sequenceDiagram\n participant E@{ "type": [ }\n E->>E: x',
        "---\n a: [\n---\nflowchart TD",
    ):
        verdict = parser.check(text)
        assert verdict.problem is not None
        assert "node_modules" not in verdict.problem.message
        assert ".mjs" not in verdict.problem.message


def test_a_diagram_cannot_change_how_the_next_one_is_judged(parser: MermaidParser) -> None:
    bad = "flowchart TD\n A[x(y)]"
    for before in ("%%{init: {'suppressErrors': true, 'maxEdges': 1}}%%\nflowchart TD\n A-->B", "%%{init: {"):
        parser.check(before)
        assert parser.check(bad).valid is False
        assert parser.check("flowchart TD\n A-->B\n B-->C").valid is True


def test_odd_characters_reach_the_parser_whole(parser: MermaidParser) -> None:
    assert parser.check('flowchart TD\n A["été 🚀 \u2028 \u2029 日本"]').valid is True
    assert parser.check("flowchart TD\n A[\ud800]").valid in {True, False}


def test_a_text_over_the_limit_is_refused_without_being_sent() -> None:
    parser = MermaidParser(max_chars=1000)
    verdict = parser.check("flowchart TD\n" + "A-->B\n" * 500)
    assert verdict.valid is False
    assert verdict.problem is not None
    assert "1000" in verdict.problem.message
    assert parser.pid is None


def test_a_killed_process_is_replaced(parser: MermaidParser) -> None:
    assert parser.check("flowchart TD\n A-->B").valid is True
    first = parser.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert parser.check("flowchart TD\n A-->B").valid is True
    assert parser.pid not in {None, first}


def test_threads_share_one_process(parser: MermaidParser) -> None:
    verdicts: dict[int, bool | None] = {}

    def check(n: int) -> None:
        verdicts[n] = parser.check(f"flowchart TD\n A{n}-->B" if n % 2 else f"flowchart TD\n A{n}[x(y)]").valid

    parser.check("flowchart TD")
    pid = parser.pid
    threads = [threading.Thread(target=check, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert verdicts == {n: bool(n % 2) for n in range(20)}
    assert parser.pid == pid


def _script(folder: Path, body: str) -> Path:
    """A validator of our own, in a folder that looks installed."""
    package = folder / "node_modules" / "mermaid"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"version": "0"}')
    script = folder / "validator.mjs"
    script.write_text('process.stdout.write(\'{"ready":true,"version":"0"}\\n\');\n' + body)
    return script


@pytest.fixture
def needs_node() -> None:
    if find_node() is None:
        pytest.skip("no Node 20 on this machine")


@pytest.mark.usefixtures("needs_node")
def test_a_parser_that_hangs_is_stopped_and_its_verdict_is_unknown(tmp_path: Path) -> None:
    script = _script(tmp_path, 'process.stdin.once("data", () => { for (;;); });')
    parser = MermaidParser(script=script, parse_timeout=0.5)
    verdict = parser.check("flowchart TD")
    assert verdict.valid is None
    assert verdict.unknown is not None
    assert parser.pid is None


@pytest.mark.usefixtures("needs_node")
def test_a_parser_that_dies_on_a_diagram_leaves_it_unknown(tmp_path: Path) -> None:
    script = _script(tmp_path, 'process.stdin.once("data", () => process.abort());')
    parser = MermaidParser(script=script)
    verdict = parser.check("flowchart TD")
    assert verdict.valid is None
    assert verdict.unknown is not None
    parser.close()


@pytest.mark.usefixtures("needs_node")
def test_memory_is_bounded(tmp_path: Path) -> None:
    script = _script(
        tmp_path, 'process.stdin.once("data", () => { const a = []; for (;;) a.push(new Array(1e5).fill(1.5)); });'
    )
    parser = MermaidParser(script=script, heap_mb=32)
    assert parser.check("flowchart TD").valid is None
    parser.close()


def test_without_the_npm_package_validity_is_unknown(tmp_path: Path) -> None:
    parser = MermaidParser(script=tmp_path / "validator.mjs")
    verdict = parser.check("flowchart TD\n A-->B")
    assert verdict.valid is None
    assert "npm ci" in str(verdict.unknown)


def test_without_node_validity_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.diagrams.parser.find_node", lambda configured: None)
    parser = MermaidParser()
    assert parser.check("flowchart TD\n A-->B").valid is None


def test_an_old_or_broken_node_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v18.0.0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr("chat.diagrams.node._of_the_wheel", lambda: None)
    assert find_node() is None
    new = tmp_path / "node22"
    new.write_text("#!/bin/sh\necho v22.1.0\n")
    new.chmod(0o755)
    assert find_node(str(new)) == new


def test_a_killed_service_leaves_no_node_process_behind(parser: MermaidParser) -> None:
    code = (
        "import os, sys; from chat.diagrams.parser import MermaidParser; p = MermaidParser()\n"
        "assert p.check('flowchart TD').valid; print(p.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    deadline = time.monotonic() + 60
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """False once the process ended, even if nobody has reaped it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
