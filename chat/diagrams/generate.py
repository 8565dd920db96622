"""Text → diagram: the model writes a drawing, the serializer makes it Mermaid, the real parser judges it.

What comes out is a diagram that Mermaid accepts, or an `ApiError`. `valid` is None, with a warning, only where there
is no parser to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from chat.diagrams import prompts
from chat.diagrams.diagram import Diagram, finish, no_step, only_flowcharts, too_long, undirected
from chat.diagrams.graph import Direction, Graph
from chat.diagrams.kinds.base import Kind
from chat.diagrams.kinds.registry import FLOWCHART, KINDS, WRITTEN
from chat.diagrams.labels import Drawing
from chat.diagrams.parser import MermaidParser
from chat.diagrams.pvb import Board
from chat.diagrams.refine import DiagramRefiner
from chat.diagrams.tidy import join, room
from chat.diagrams.writer import Writer
from chat.language import Language, detect
from chat.llm import LanguageModel, Model
from chat.parts import chars_for, split
from common.errors import ApiError
from common.messages import Text, _

MAX_PARTS = 12
SHRINKS = 4

EmbeddedRequest = Callable[[str], dict[str, Any]]


@dataclass
class _Drawn:
    """What the parts of a text gave: a drawing, or Mermaid for a kind without schema."""

    drawing: Drawing | None
    mermaid: str
    model: str
    repairs: int
    warnings: list[Text] = field(default_factory=list)


class DiagramMaker:
    """Plain service: no Flask. One per worker."""

    def __init__(self, llm: LanguageModel, parser: MermaidParser, embedded_request: EmbeddedRequest) -> None:
        self._llm = llm
        self._parser = parser
        self._embedded_request = embedded_request
        self._writer = Writer(llm, parser)
        self.refine = DiagramRefiner(llm, parser).refine

    def draw(
        self,
        text: str,
        *,
        kind: str = FLOWCHART,
        direction: Direction | None = None,
        language: Language | None = None,
        model: str | None = None,
        board: Board | None = None,
    ) -> Diagram:
        """The diagram of `text`, or of a Product Vision Board when it is one's text.

        Raises `ApiError` 422 `diagram_invalid`, 400 on a kind that the model cannot write, and gpt's own errors.
        """
        if not any(char.isalnum() for char in text):
            raise no_step("pvb" if board else "text")
        spoken = language or detect(text)
        chosen = self._llm.model(model)
        if chosen.embedded and kind != FLOWCHART:
            raise only_flowcharts(chosen, kind)
        read = board.lines if board and chosen.embedded else text
        asked = prompts.instructions_length(spoken, KINDS.get(kind))
        limit = chars_for(chosen.context, embedded=chosen.embedded, instructions=asked)
        for _shrink in range(SHRINKS):
            try:
                drawn = self._draw(chosen, kind, read, split(read, limit), spoken, board is not None)
                break
            except ApiError as error:
                if error.code != "context_length_exceeded" or limit < 100:
                    raise
                limit //= 2
        else:
            raise too_long(chosen)
        made = finish(drawn.drawing, kind, direction, text) if drawn.drawing else Diagram(drawn.mermaid, None, kind)
        if board and chosen.embedded and isinstance(made.graph, Graph):  # it cannot tell a goal from a step
            _mark_goals(made.graph, board)
            made.mermaid = KINDS[kind].serialize(made.graph, direction)
        made.model, made.repairs = drawn.model, drawn.repairs
        made.warnings = [*(board.warnings if board else []), *drawn.warnings, *made.warnings]
        made.text = text if board else None
        if direction and not (kind in KINDS and KINDS[kind].directed):
            made.warnings.append(undirected(kind))
        return made.judged(self._parser.check(made.mermaid))

    def _draw(
        self, model: Model, kind: str, text: str, spans: list[tuple[int, int]], language: Language, board: bool
    ) -> _Drawn:
        spec = KINDS.get(kind)
        if kind == FLOWCHART and spec is not None:
            return self._draw_parts(model, spec, text, spans, language, board)
        start, end = spans[0]  # only flowcharts of successive parts make one
        part = text[start:end]
        warnings = [_unread(end, text)] if end < spans[-1][1] else []
        if spec is None:
            body = prompts.write_request(part, kind, WRITTEN[kind], language, board=board)
            wrote = self._writer.mermaid(model, kind, body, language)
            return _Drawn(None, wrote.made, wrote.model, wrote.repairs, warnings)
        body = prompts.draw_request(part, spec, language, board=board)
        written = self._writer.drawing(model, spec, body, language)
        return _Drawn(written.made, "", written.model, written.repairs, warnings)

    def _draw_parts(
        self, model: Model, spec: Kind, text: str, spans: list[tuple[int, int]], language: Language, board: bool
    ) -> _Drawn:
        """The flowcharts of the parts, joined; and what the reader should know about it."""
        graphs: list[Graph] = []
        repairs, name, read_to = 0, model.id, 0
        problem: ApiError | None = None
        for start, end in spans[:MAX_PARTS]:
            part = text[start:end]
            if model.embedded:
                body = self._embedded_request(part)
            else:
                body = prompts.draw_request(part, spec, language, board=board)
            try:
                written = self._writer.drawing(model, spec, body, language)
            except ApiError as error:
                if error.code != "diagram_invalid" or len(spans) == 1:
                    raise
                problem, read_to = error, end
                continue
            graph = cast(Graph, written.made)
            repairs += written.repairs
            name = written.model
            if graphs and not room(graphs, graph):
                break
            read_to = end
            if graph.nodes:
                graphs.append(graph)
        if not graphs:
            raise problem or no_step("pvb" if board else "text")
        return _Drawn(join(graphs), "", name, repairs, _part_warnings(model, spans, read_to, text, problem))


def _mark_goals(graph: Graph, board: Board) -> None:
    """What comes from the section of the goals is one."""
    start, end = board.goals
    for node in graph.nodes:
        if node.source and start <= node.source.start and node.source.end <= end:
            node.actor = "goal"


def _unread(read_to: int, text: str) -> Text:
    return _(
        "Seuls les %(read)s premiers caractères sur %(total)s sont dans le diagramme : "
        "un modèle de plus grand contexte lirait tout.",
        read=read_to,
        total=len(text),
    )


def _part_warnings(
    model: Model, spans: list[tuple[int, int]], read_to: int, text: str, problem: ApiError | None
) -> list[Text]:
    warnings: list[Text] = []
    if len(spans) > 1:
        warnings.append(
            _(
                "Texte long : lu en %(parts)s parties pour tenir dans le contexte de %(model)s, "
                "puis réuni en un seul diagramme.",
                parts=sum(end <= read_to for _start, end in spans),
                model=model.id,
            )
        )
    if spans and read_to < spans[-1][1]:
        warnings.append(_unread(read_to, text))
    if problem is not None:
        warnings.append(_("Une partie du texte n'a pas pu être dessinée : elle manque au diagramme."))
    return warnings
