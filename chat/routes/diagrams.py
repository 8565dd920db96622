"""POST /api/diagrams and /api/diagrams/validate."""

from __future__ import annotations

from typing import Any, Literal

from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from chat.access import Access
from chat.diagrams.diagram import Diagram, unsupported_kind
from chat.diagrams.generate import DiagramMaker
from chat.diagrams.graph import Direction
from chat.diagrams.kinds import registry
from chat.diagrams.kinds.registry import FLOWCHART
from chat.diagrams.link import live_url
from chat.diagrams.parser import MAX_CHARS, MermaidParser
from chat.diagrams.pvb import read_board
from chat.diagrams.told import read_minutes_given
from chat.language import Language
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.leaving import stop_if_client_leaves

MAX_TEXT = 500_000  # a meeting of eight hours


class DiagramBody(BaseModel):
    """A text, minutes or a Product Vision Board to draw, or a diagram and the instruction that changes it."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(default=None, max_length=MAX_TEXT, description="Le texte à dessiner")
    pvb: dict[str, Any] | str | None = Field(
        default=None, description="Un Product Vision Board : quatre sections numérotées et Summary"
    )
    minutes: dict[str, Any] | str | None = Field(
        default=None, description="Un compte rendu, tel que le donne /api/minutes"
    )
    mermaid: str | None = Field(default=None, max_length=50_000, description="Le diagramme à modifier")
    instruction: str | None = Field(default=None, max_length=4000, description="« ajoute une validation »")
    kind: str | None = Field(default=None, max_length=40, description="flowchart, sequence, class, state, er, gantt…")
    direction: Literal["TD", "TB", "LR"] | None = Field(default=None, description="TD : vertical, LR : horizontal")
    language: Language | None = Field(default=None, description="fr ou en ; absent : celle du texte")
    model: str | None = Field(default=None, max_length=500)


class ValidateBody(BaseModel):
    """A diagram of any kind."""

    model_config = ConfigDict(extra="forbid")

    mermaid: str = Field(max_length=MAX_CHARS)


def diagrams_blueprint(access: Access, maker: DiagramMaker, parser: MermaidParser) -> APIBlueprint:
    """The two endpoints over `maker` and `parser`."""
    bp = APIBlueprint("diagrams", __name__, url_prefix="/api/diagrams", abp_tags=[Tag(name="Diagrammes")])
    bp.before_request(access.service_or_key)

    @bp.post(
        "",
        summary="Dessiner un texte, un compte rendu, un Product Vision Board ; modifier un diagramme",
    )
    def draw(body: DiagramBody) -> dict[str, Any]:
        stop_if_client_leaves()
        kind = _kind(body.kind)
        direction: Direction | None = "TD" if body.direction == "TB" else body.direction
        if body.mermaid is not None:
            for param in ("pvb", "minutes"):
                if getattr(body, param) is not None:
                    raise _one_source(param)
            instruction = _given(body.instruction, "instruction", _("Dites ce qu'il faut changer au diagramme."))
            made = maker.refine(
                _given(body.mermaid, "mermaid", _("Le diagramme à modifier est vide.")),
                instruction,
                text=body.text,
                kind=kind,
                direction=direction,
                language=body.language,
                model=body.model,
            )
            return _answer(made)
        if body.instruction is not None:
            raise _missing("mermaid", _("Une consigne modifie un diagramme : donnez-le dans « mermaid »."))
        given = [param for param in ("text", "pvb", "minutes") if getattr(body, param) is not None]
        if len(given) > 1:
            raise _one_source(given[1])
        board = read_board(body.pvb) if body.pvb is not None else None
        told = read_minutes_given(body.minutes) if body.minutes is not None else None
        if board is not None and len(board.text) > MAX_TEXT:
            message = _("Ce Product Vision Board dépasse %(most)s caractères.", most=MAX_TEXT)
            raise ApiError(400, "invalid_pvb", message, "pvb")
        if told is not None and len(told.text) > MAX_TEXT:
            message = _("Ce compte rendu dépasse %(most)s caractères.", most=MAX_TEXT)
            raise ApiError(400, "invalid_minutes", message, "minutes")
        asked = _("Donnez un texte à dessiner, un Product Vision Board, ou un diagramme et une consigne.")
        source = board or told
        made = maker.draw(
            source.text if source else _given(body.text, "text", asked),
            kind=kind or FLOWCHART,
            direction=direction,
            language=body.language,
            model=body.model,
            board=board,
        )
        if told is not None:
            made.text, made.warnings = told.text, [*told.warnings, *made.warnings]
            if made.graph is not None:
                told.date(made.graph)
        return _answer(made)

    @bp.post("/validate", summary="Ce que le parseur de Mermaid dit d'un diagramme")
    def validate(body: ValidateBody) -> dict[str, Any]:
        verdict = parser.check(body.mermaid)
        answer: dict[str, Any] = {"valid": verdict.valid, "kind": verdict.kind}
        if verdict.problem is not None:
            answer["error"] = {"line": verdict.problem.line, "message": verdict.problem.message}
        elif verdict.unknown is not None:
            answer["error"] = {"line": None, "message": verdict.unknown.render(context.language.get())}
        return answer

    return bp


def _kind(name: str | None) -> str | None:
    """The kind that `name` designates. Raises 400 on one that is not known."""
    if name is None:
        return None
    kind = registry.named(name)
    if kind is None:
        raise unsupported_kind(name, "kind")
    return kind


def _answer(diagram: Diagram) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "mermaid": diagram.mermaid,
        "valid": diagram.valid,
        "kind": diagram.kind,
        "graph": diagram.graph.public() if diagram.graph else None,
        "text": diagram.text,
        "repairs": diagram.repairs,
        "model": diagram.model,
        "warnings": [warning.render(context.language.get()) for warning in diagram.warnings],
        "live_url": live_url(diagram.mermaid),
    }
    return {key: value for key, value in answer.items() if value is not None or key in {"valid", "model"}}


def _given(value: str | None, param: str, otherwise: Any) -> str:
    if value is None or not value.strip():
        raise _missing(param, otherwise)
    return value


def _missing(param: str, message: Any) -> ApiError:
    return ApiError(400, "missing_field", message, param)


def _one_source(param: str) -> ApiError:
    message = _(
        "Donnez une seule chose à dessiner : « text », « pvb », « minutes », ou « mermaid » et « instruction »."
    )
    return ApiError(400, "too_many_sources", message, param)
