"""Turns pydantic's first complaint into one `ApiError` that names the field, in the reader's language."""

from __future__ import annotations

from typing import Any

from flask import request
from pydantic import ValidationError

from common.errors import ApiError
from common.messages import Text, _

# Error types of pydantic that a caller meets; ctx names are pydantic's own.
_REASONS: dict[str, Text] = {
    "missing": _("ce champ est obligatoire"),
    "extra_forbidden": _("ce champ n'est pas connu"),
    "string_type": _("une chaîne de caractères est attendue"),
    "int_type": _("un nombre entier est attendu"),
    "int_parsing": _("un nombre entier est attendu"),
    "int_from_float": _("un nombre entier est attendu"),
    "float_type": _("un nombre est attendu"),
    "float_parsing": _("un nombre est attendu"),
    "finite_number": _("un nombre fini est attendu"),
    "bool_type": _("true ou false est attendu"),
    "bool_parsing": _("true ou false est attendu"),
    "list_type": _("une liste est attendue"),
    "dict_type": _("un objet JSON est attendu"),
    "model_type": _("un objet JSON est attendu"),
    "model_attributes_type": _("un objet JSON est attendu"),
}
_BOUNDS: dict[str, tuple[str, Text]] = {
    "greater_than": ("gt", _("doit être supérieur à")),
    "greater_than_equal": ("ge", _("doit être au moins")),
    "less_than": ("lt", _("doit être inférieur à")),
    "less_than_equal": ("le", _("doit être au plus")),
    "too_short": ("min_length", _("nombre d'éléments minimal :")),
    "too_long": ("max_length", _("nombre d'éléments maximal :")),
    "string_too_short": ("min_length", _("nombre de caractères minimal :")),
    "string_too_long": ("max_length", _("nombre de caractères maximal :")),
    "literal_error": ("expected", _("valeurs acceptées :")),
    "enum": ("expected", _("valeurs acceptées :")),
}


def _reason(problem: Any) -> Text:
    kind, context = problem["type"], problem.get("ctx") or {}
    if kind in _REASONS:
        return _REASONS[kind]
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return _("%(words)s %(bound)s", words=words, bound=context.get(key, "?"))
    cause = context.get("error")
    if isinstance(cause, ApiError) and isinstance(cause.message, Text):
        return cause.message
    return _("%(reason)s", reason=str(problem["msg"]).removeprefix("Value error, "))


def _path(loc: tuple[int | str, ...]) -> str:
    """``messages[0].content`` for ("messages", 0, "content"); union branch names are left out."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.isidentifier() and not part[:1].isupper() and part not in {"str", "int", "float", "bool"}:
            path += f".{part}" if path else part
    return path


def to_api_error(error: ValidationError) -> ApiError:
    """The 400 that says which field is wrong and what is expected of it."""
    problems = error.errors(include_url=False, include_input=False)
    for problem in problems:
        cause = (problem.get("ctx") or {}).get("error")
        if isinstance(cause, ApiError):  # a validator said it better than we could
            return cause
    problem = problems[0]
    param = _path(problem["loc"]) or None
    if param is None and problem["type"].startswith(("model_", "dict_")):
        return invalid_json()
    message = _("Champ « %(field)s » refusé : %(reason)s.", field=param or "?", reason=_reason(problem))
    return ApiError(400, "invalid_value" if problem["type"] != "missing" else "missing_field", message, param)


def invalid_json() -> ApiError:
    """The body is not the JSON object that was expected."""
    if not request.is_json:
        return ApiError(
            415 if request.mimetype else 400,
            "unsupported_media_type" if request.mimetype else "invalid_json",
            _("Le corps doit être un objet JSON, envoyé avec « Content-Type: application/json »."),
        )
    return ApiError(400, "invalid_json", _("Le corps de la requête n'est pas un objet JSON valide."))


def on_validation_error(error: ValidationError) -> None:
    """flask-openapi's callback: raise, so that the one error handler renders it."""
    raise to_api_error(error)
