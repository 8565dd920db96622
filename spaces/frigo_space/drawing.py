"""A conversation that draws: a text or a Product Vision Board first, then what to change."""

from __future__ import annotations

import logging
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from chat import embedded_prompts
from chat.diagrams.diagram import Diagram
from chat.diagrams.generate import DiagramMaker
from chat.diagrams.graph import Direction
from chat.diagrams.kinds.registry import FLOWCHART
from chat.diagrams.link import live_url
from chat.diagrams.node import find_node
from chat.diagrams.parser import VALIDATOR, MermaidParser
from chat.diagrams.pvb import read_board
from chat.llm import Answer, Model
from common.errors import ApiError

MOST_CHARACTERS = 100_000
_INSTALL_SECONDS = 300
_log = logging.getLogger("frigo.space")


class Writes(Protocol):
    """What writes: `chat.llm.LanguageModel`, or a model in this process."""

    def model(self, name: str | None) -> Model: ...
    def complete(self, body: dict[str, Any]) -> Answer: ...


@dataclass(frozen=True)
class Work:
    """The diagram as it stands. `text` is what it was drawn from."""

    mermaid: str = ""
    text: str = ""
    kind: str = FLOWCHART


@dataclass(frozen=True)
class Reply:
    """What a message did: the work, and one sentence or more for the person, in French."""

    work: Work
    said: str


class Studio:
    """Draws and changes. Safe for threads."""

    def __init__(self, llm: Writes, parser: MermaidParser) -> None:
        self._maker = DiagramMaker(llm, parser, embedded_prompts.diagram_request)  # type: ignore[arg-type]  # as it is

    def reply(self, message: str, work: Work, *, kind: str = FLOWCHART, direction: Direction | None = None) -> Reply:
        """A first message is drawn; the next ones change the diagram. What cannot be done is said, nothing lost."""
        text = message.strip()
        if not text:
            return Reply(work, "Écrivez ce qu'il faut dessiner.")
        if len(text) > MOST_CHARACTERS:
            return Reply(work, f"Ce texte dépasse {MOST_CHARACTERS} caractères : donnez-en une partie.")
        try:
            if work.mermaid:
                made = self._maker.refine(work.mermaid, text, text=work.text)
                return Reply(replace(work, mermaid=made.mermaid), _said(made, "Diagramme modifié."))
            if text.startswith("{"):
                board = read_board(text)
                made = self._maker.draw(board.text, kind=kind, direction=direction, board=board)
                return Reply(Work(made.mermaid, board.text, kind), _said(made, "Product Vision Board dessiné."))
            made = self._maker.draw(text, kind=kind, direction=direction)
            return Reply(Work(made.mermaid, text, kind), _said(made, "Voici le diagramme."))
        except ApiError as error:
            return Reply(work, str(error.message))


def _said(made: Diagram, done: str) -> str:
    repaired = f" ({made.repairs} réparation{'s' if made.repairs > 1 else ''})" if made.repairs else ""
    lines = [done + repaired, *(f"⚠️ {warning}" for warning in made.warnings)]
    return "\n\n".join([*lines, f"[Ouvrir dans l'éditeur de Mermaid]({live_url(made.mermaid)})"])


def parser() -> MermaidParser:
    """The real parser. Its library is installed at the first start; where it cannot be, validity is unknown, and
    said to be."""
    folder = VALIDATOR.parent
    node = find_node()
    if node is not None and not (folder / "node_modules").is_dir():
        npm = _npm(node)
        try:
            command = [*npm, "ci", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            _log.warning("the Mermaid parser could not be installed", extra={"reason": type(error).__name__})
    return MermaidParser(str(node) if node else None)


def _npm(node: Path) -> list[str | Path]:
    """npm of that Node: a script of its own where it is PyPI's, else the system's."""
    script = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [node, script] if script.is_file() else ["npm"]
