"""Text → diagram: the model writes a graph, the serializer draws it, the real parser judges it, at most two repairs.

What comes out is a diagram that Mermaid accepts, or an `ApiError`. `valid` is None, with a warning, only where there
is no parser to ask.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chat.diagrams import prompts
from chat.diagrams.graph import Direction, Graph, GraphError
from chat.diagrams.parser import MermaidParser, Verdict
from chat.diagrams.read import read_graph
from chat.diagrams.serialize import serialize
from chat.diagrams.source import locate
from chat.diagrams.tidy import join, room, tidy
from chat.language import Language, detect
from chat.llm import Answer, LanguageModel, Model
from chat.parts import chars_for, split
from common.errors import ApiError
from common.messages import Text, _

log = logging.getLogger(__name__)

KIND = "flowchart"
MAX_REPAIRS = 2
MAX_PARTS = 12
SHRINKS = 4
RENDERED_CHARS = 50_000  # Mermaid's default maxTextSize: pages draw nothing above it

EmbeddedRequest = Callable[[str], dict[str, Any]]


@dataclass
class Diagram:
    """A drawn text: `repairs` counts the model's refused answers, `warnings` what the reader should know."""

    mermaid: str
    valid: bool | None
    graph: Graph
    model: str
    repairs: int = 0
    warnings: list[Text] = field(default_factory=list)
    kind: str = KIND


@dataclass
class _Written:
    """A graph from one request to the model."""

    graph: Graph
    model: str
    repairs: int


class DiagramMaker:
    """Plain service: no Flask. One per worker."""

    def __init__(self, llm: LanguageModel, parser: MermaidParser, embedded_request: EmbeddedRequest) -> None:
        self._llm = llm
        self._parser = parser
        self._embedded_request = embedded_request

    def draw(
        self, text: str, *, direction: Direction = "TD", language: Language | None = None, model: str | None = None
    ) -> Diagram:
        """The flowchart of `text`. Raises `ApiError` 422 `diagram_invalid`, and gpt's own errors."""
        if not any(char.isalnum() for char in text):
            raise _no_step()
        spoken = language or detect(text)
        chosen = self._llm.model(model)
        limit = chars_for(chosen.context, embedded=chosen.embedded, instructions=prompts.instructions_length(spoken))
        for _shrink in range(SHRINKS):
            try:
                written, warnings = self._draw_parts(chosen, text, split(text, limit), spoken)
                break
            except ApiError as error:
                if error.code != "context_length_exceeded" or limit < 100:
                    raise
                limit //= 2
        else:
            raise _too_long(chosen)
        if not written.graph.nodes:
            raise _no_step()
        return self._finish(written, direction, text, warnings)

    def refine(
        self,
        mermaid: str,
        instruction: str,
        *,
        text: str | None = None,
        direction: Direction | None = None,
        language: Language | None = None,
        model: str | None = None,
    ) -> Diagram:
        """An existing flowchart changed as `instruction` says. Raises as `draw`, and 400 with the embedded model."""
        self._check_given(mermaid)
        chosen = self._llm.model(model)
        if chosen.embedded:
            message = _(
                "Le modèle embarqué %(model)s ne sait pas modifier un diagramme : choisissez un autre modèle.",
                model=chosen.id,
            )
            raise ApiError(400, "unsupported_parameter", message, "instruction")
        spoken = language or detect(instruction)
        body = prompts.refine_request(mermaid, instruction, text, spoken)
        written, answered = self._write(chosen, body, spoken)
        if not written.graph.nodes:
            raise _no_step()
        return self._finish(written, direction or answered, text or "", [])

    # --- the model's part ------------------------------------------------------------------------------------

    def _draw_parts(
        self, model: Model, text: str, spans: list[tuple[int, int]], language: Language
    ) -> tuple[_Written, list[Text]]:
        """The graphs of the parts, joined; and what the reader should know about it."""
        graphs: list[Graph] = []
        repairs, name, read_to = 0, model.id, 0
        refused: ApiError | None = None
        for start, end in spans[:MAX_PARTS]:
            part = text[start:end]
            body = self._embedded_request(part) if model.embedded else prompts.draw_request(part, language)
            try:
                written, _direction = self._write(model, body, language)
            except ApiError as error:
                if error.code != "diagram_invalid" or len(spans) == 1:
                    raise
                refused, read_to = error, end
                continue
            repairs += written.repairs
            name = written.model
            if graphs and not room(graphs, written.graph):
                break
            read_to = end
            if written.graph.nodes:
                graphs.append(written.graph)
        if not graphs and refused is not None:
            raise refused
        warnings = _part_warnings(model, spans, read_to, text, refused)
        return _Written(join(graphs), name, repairs), warnings

    def _write(self, model: Model, body: dict[str, Any], language: Language) -> tuple[_Written, Direction]:
        """Ask, read, judge; ask again with the reason at most twice. An empty graph is an answer."""
        asked = {**body, "model": model.id}
        problem = ""
        for repairs in range(MAX_REPAIRS + 1):
            answer = self._llm.complete(asked)
            try:
                graph = tidy(read_graph(answer.text, cut=answer.cut))
                problem = self._refusal(graph)
            except GraphError as error:
                problem = str(error)
            if not problem:
                return _Written(graph, answer.model, repairs), _direction(answer)
            log.info("diagram refused", extra={"model": model.id, "attempt": repairs + 1, "problem": problem[:300]})
            if model.embedded:  # it cannot read a remark: draw another answer
                asked = {**asked, "temperature": 0.5, "seed": repairs + 1}
            else:
                asked = prompts.repair_request({**body, "model": model.id}, answer.text, problem, language)
        message = _(
            "Le modèle %(model)s n'a pas su écrire ce diagramme (%(tries)s essais) : %(problem)s",
            model=model.id,
            tries=MAX_REPAIRS + 1,
            problem=problem,
        )
        raise ApiError(422, "diagram_invalid", message, extra={"parser": problem})

    # --- the parser's part -----------------------------------------------------------------------------------

    def _refusal(self, graph: Graph) -> str:
        """The parser's complaint about a graph, or nothing."""
        if not graph.nodes:
            return ""
        verdict = self._parser.check(serialize(graph))
        return verdict.problem.message if verdict.valid is False and verdict.problem else ""

    def _finish(self, written: _Written, direction: Direction, text: str, warnings: list[Text]) -> Diagram:
        graph = written.graph
        sources = locate([node.label for node in graph.nodes], text)
        for node, source in zip(graph.nodes, sources, strict=True):
            node.source = source
        mermaid = serialize(graph, direction)
        verdict = self._parser.check(mermaid)
        if verdict.valid is False:
            raise _refused(verdict)
        if verdict.unknown is not None:
            reason = verdict.unknown
            warnings.append(_("Validité inconnue, le diagramme n'a pas été vérifié : %(reason)s", reason=reason))
        if len(mermaid) > RENDERED_CHARS:
            warnings.append(_("Ce diagramme dépasse 50 000 caractères : Mermaid ne l'affiche pas sans réglage."))
        return Diagram(mermaid, verdict.valid, graph, written.model, written.repairs, warnings)

    def _check_given(self, mermaid: str) -> None:
        """The diagram to change must be one, and of a kind that has a graph."""
        verdict = self._parser.check(mermaid)
        if verdict.valid is False:
            raise _refused(verdict, "mermaid")
        if verdict.kind not in {None, KIND}:
            raise unsupported_kind(str(verdict.kind), "mermaid")


def unsupported_kind(kind: str, param: str) -> ApiError:
    """The 400 that says which kinds there are."""
    message = _("Le type « %(kind)s » n'est pas encore pris en charge ; types acceptés : flowchart.", kind=kind)
    return ApiError(400, "unsupported_kind", message, param)


def _refused(verdict: Verdict, param: str | None = None) -> ApiError:
    problem = verdict.problem.message if verdict.problem else ""
    message = _("Mermaid refuse ce diagramme : %(problem)s", problem=problem)
    line = verdict.problem.line if verdict.problem else None
    return ApiError(422, "diagram_invalid", message, param, extra={"parser": problem, "line": line})


def _no_step() -> ApiError:
    message = _(
        "Aucune étape n'a été trouvée dans ce texte. Décrivez qui fait quoi, dans l'ordre : "
        "« La cliente envoie sa demande. L'agent vérifie le dossier. Si le dossier est complet, il le valide. »"
    )
    return ApiError(422, "diagram_invalid", message, "text")


def _too_long(model: Model) -> ApiError:
    message = _("Ce texte ne tient pas dans le contexte du modèle %(model)s.", model=model.id)
    return ApiError(400, "context_length_exceeded", message, "text")


def _part_warnings(
    model: Model, spans: list[tuple[int, int]], read_to: int, text: str, refused: ApiError | None
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
        warnings.append(
            _(
                "Seuls les %(read)s premiers caractères sur %(total)s sont dans le diagramme : "
                "un modèle de plus grand contexte lirait tout.",
                read=read_to,
                total=len(text),
            )
        )
    if refused is not None:
        warnings.append(_("Une partie du texte n'a pas pu être dessinée : elle manque au diagramme."))
    return warnings


def _direction(answer: Answer) -> Direction:
    """The direction a refined diagram asks for, written among its first fields."""
    return "LR" if '"direction":"LR"' in answer.text.replace(" ", "")[:400] else "TD"
