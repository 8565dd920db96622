"""OpenAPI of answers that come in several shapes and media types, which the framework cannot be told by a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from common.web.factory import ErrorBody

_ERRORS = {
    400: "La demande est refusée : `param` nomme le champ, `code` dit pourquoi",
    404: "Ce modèle n'existe pas",
    413: "Envoi trop lourd (upload_too_large) ou enregistrement trop long (audio_too_long)",
    503: "Le modèle n'est pas prêt (model_not_ready), ou un autre service ne répond pas (peer_unavailable)",
}


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema in one piece, without references."""
    whole = model.model_json_schema(mode="serialization")
    definitions = whole.pop("$defs", {})

    def inlined(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return inlined(definitions[part["$ref"].rsplit("/", 1)[-1]])
            return {key: inlined(value) for key, value in part.items()}
        return [inlined(item) for item in part] if isinstance(part, list) else part

    return dict(inlined(whole))


def shapes(
    description: str,
    json: Sequence[type[BaseModel]],
    *,
    events: Sequence[type[BaseModel]] = (),
    text: Sequence[str] = (),
) -> dict[str, Any]:
    """A response: one of the `json` shapes, the `text` media types, or events whose data is one of `events`."""
    content: dict[str, Any] = {"application/json": {"schema": _one_of(json)}}
    content |= {kind: {"schema": {"type": "string"}} for kind in text}
    if events:
        content["text/event-stream"] = {"schema": _one_of(events)}
    return {"description": description, "content": content}


def errors(*statuses: int) -> dict[int | str, Any]:
    """The responses of the statuses that are errors."""
    return {status: shapes(_ERRORS[status], [ErrorBody]) for status in statuses}


def _one_of(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    schemas = [schema_of(model) for model in models]
    return schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
