"""An existing diagram and an instruction → the diagram changed: at once when that needs no model, else by a model."""

from __future__ import annotations

from chat.diagrams import edits, prompts, rewrite
from chat.diagrams.diagram import Diagram, cannot_refine, finish, refused, undirected, unsupported_kind
from chat.diagrams.graph import Direction, Graph
from chat.diagrams.kinds import registry
from chat.diagrams.kinds.base import Kind
from chat.diagrams.kinds.registry import FLOWCHART, KINDS, WRITTEN
from chat.diagrams.parser import MermaidParser
from chat.diagrams.writer import Writer
from chat.language import Language, detect
from chat.llm import Answer, LanguageModel, Model

MERMAID_DIRECTIONS: dict[Direction, str] = {"TD": "TB", "LR": "LR"}


class DiagramRefiner:
    """Plain service: no Flask. One per worker."""

    def __init__(self, llm: LanguageModel, parser: MermaidParser) -> None:
        self._llm = llm
        self._parser = parser
        self._writer = Writer(llm, parser)

    def refine(
        self,
        mermaid: str,
        instruction: str,
        *,
        text: str | None = None,
        kind: str | None = None,
        direction: Direction | None = None,
        language: Language | None = None,
        model: str | None = None,
    ) -> Diagram:
        """`mermaid` changed as `instruction` says, and drawn as another `kind` when one is named.

        Raises `ApiError` 422 when Mermaid refuses what was given or what was made, 400 with the embedded model, or on a
        direction that the kind does not have.
        """
        verdict = self._parser.check(mermaid)
        if verdict.valid is False:
            raise refused(verdict, "mermaid")
        given = verdict.kind or _kind_of(mermaid)
        wanted = kind or given
        if wanted == given:
            edited = self._edited(mermaid, instruction, given, direction)
            if edited is None and given == FLOWCHART:
                edited = self._rewritten(rewrite.exactly(mermaid, instruction), text, direction)
            if edited is not None:
                return edited
        if wanted not in KINDS and wanted not in WRITTEN:
            raise unsupported_kind(wanted, "mermaid")
        chosen = self._llm.model(model)
        if chosen.embedded:  # it reads no diagram: what can be done without it, or nothing
            simple = rewrite.roughly(mermaid, instruction) if wanted == given == FLOWCHART else None
            if (made := self._rewritten(simple, text, direction)) is not None:
                return made
            raise cannot_refine(chosen)
        spoken = language or detect(instruction)
        if wanted in KINDS:
            made = self._drawn(mermaid, instruction, text, KINDS[wanted], direction, spoken, chosen)
        else:
            made = self._written(mermaid, instruction, text, wanted, spoken, chosen)
        if direction and not (wanted in KINDS and KINDS[wanted].directed):
            made.warnings.append(undirected(wanted))
        return made.judged(self._parser.check(made.mermaid))

    def _edited(self, mermaid: str, instruction: str, kind: str, direction: Direction | None) -> Diagram | None:
        """The diagram changed without a model; None when the instruction needs one."""
        changed = edits.apply(mermaid, instruction, kind)
        if changed is None:
            return None
        made = Diagram(changed, None, kind)
        if direction and edits.direction_asked(instruction) is None:  # the instruction has the last word
            if kind in KINDS and KINDS[kind].directed:
                made.mermaid = edits.with_direction(changed, MERMAID_DIRECTIONS[direction], kind)
            else:
                made.warnings.append(undirected(kind))
        verdict = self._parser.check(made.mermaid)
        return None if verdict.valid is False else made.judged(verdict)

    def _rewritten(
        self, changed: tuple[Graph, Direction] | None, text: str | None, direction: Direction | None
    ) -> Diagram | None:
        """The flowchart of steps changed without a model; None when there is none, or Mermaid refuses it."""
        if changed is None:
            return None
        made = finish(changed[0], FLOWCHART, direction or changed[1], text or "")
        verdict = self._parser.check(made.mermaid)
        return None if verdict.valid is False else made.judged(verdict)

    def _drawn(
        self,
        mermaid: str,
        instruction: str,
        text: str | None,
        kind: Kind,
        direction: Direction | None,
        language: Language,
        model: Model,
    ) -> Diagram:
        body = prompts.refine_request(mermaid, instruction, text, kind, language)
        written = self._writer.drawing(model, kind, body, language)
        asked = direction or (_direction(written.answer) if kind.directed else None)
        made = finish(written.made, kind.name, asked, text or "")
        made.model, made.repairs = written.model, written.repairs
        return made

    def _written(
        self, mermaid: str, instruction: str, text: str | None, kind: str, language: Language, model: Model
    ) -> Diagram:
        body = prompts.rewrite_request(mermaid, instruction, text, kind, WRITTEN[kind], language)
        written = self._writer.mermaid(model, kind, body, language)
        return Diagram(written.made, None, kind, None, written.model, written.repairs)


def _kind_of(mermaid: str) -> str:
    """The kind that the first line names, where there is no parser to say it."""
    words = (line.split() for line in mermaid.splitlines() if not line.lstrip().startswith("%%"))
    first = next((line[0] for line in words if line), "")
    return registry.named(first) or FLOWCHART


def _direction(answer: Answer) -> Direction:
    """The direction a refined diagram asks for, written among its first fields."""
    return "LR" if '"direction":"LR"' in answer.text.replace(" ", "")[:400] else "TD"
