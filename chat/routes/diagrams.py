"""POST /api/diagrams and /api/diagrams/validate."""

from __future__ import annotations

from typing import Any, Literal

from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from chat.access import Access
from chat.diagrams.generate import KIND, Diagram, DiagramMaker, unsupported_kind
from chat.diagrams.graph import Direction
from chat.diagrams.parser import MAX_CHARS, MermaidParser
from chat.language import Language
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.leaving import stop_if_client_leaves

MAX_TEXT = 500_000  # a meeting of eight hours


class DiagramBody(BaseModel):
    """A text to draw, or a diagram and the instruction that changes it."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(default=None, max_length=MAX_TEXT, description="Le texte à dessiner")
    mermaid: str | None = Field(default=None, max_length=50_000, description="Le diagramme à modifier")
    instruction: str | None = Field(default=None, max_length=4000, description="« ajoute une validation »")
    kind: str = Field(default=KIND, max_length=40, description="flowchart")
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

    @bp.post("", summary="Dessiner un texte, ou modifier un diagramme par une consigne")
    def draw(body: DiagramBody) -> dict[str, Any]:
        stop_if_client_leaves()
        if body.kind.lower() != KIND:
            raise unsupported_kind(body.kind, "kind")
        direction: Direction | None = "TD" if body.direction == "TB" else body.direction
        if body.mermaid is None:
            if body.instruction is not None:
                raise _missing("mermaid", _("Une consigne modifie un diagramme : donnez-le dans « mermaid »."))
            text = _given(body.text, "text", _("Donnez un texte à dessiner, ou un diagramme et une consigne."))
            made = maker.draw(text, direction=direction or "TD", language=body.language, model=body.model)
        else:
            instruction = _given(body.instruction, "instruction", _("Dites ce qu'il faut changer au diagramme."))
            made = maker.refine(
                _given(body.mermaid, "mermaid", _("Le diagramme à modifier est vide.")),
                instruction,
                text=body.text,
                direction=direction,
                language=body.language,
                model=body.model,
            )
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


def _answer(diagram: Diagram) -> dict[str, Any]:
    return {
        "mermaid": diagram.mermaid,
        "valid": diagram.valid,
        "kind": diagram.kind,
        "graph": diagram.graph.public(),
        "repairs": diagram.repairs,
        "model": diagram.model,
        "warnings": [warning.render(context.language.get()) for warning in diagram.warnings],
    }


def _given(value: str | None, param: str, otherwise: Any) -> str:
    if value is None or not value.strip():
        raise _missing(param, otherwise)
    return value


def _missing(param: str, message: Any) -> ApiError:
    return ApiError(400, "missing_field", message, param)
