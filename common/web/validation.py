"""Turns pydantic's first complaint into one `ApiError` that names the field, in the reader's language."""

from __future__ import annotations

from flask import request
from pydantic import ValidationError

from common.errors import ApiError
from common.messages import _
from common.reasons import reason


def _path(loc: tuple[int | str, ...]) -> str:
    """``messages[0].content`` for ("messages", 0, "content"); union branch names are left out.

    A form's list field is named without the brackets that it is sent with (``include[]``).
    """
    path = ""
    for whole in loc:
        part = whole.removesuffix("[]") if isinstance(whole, str) else whole
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
    if param is None and problem["type"].startswith(("model_", "dict_", "json_")):
        return invalid_json()
    message = _("Champ « %(field)s » refusé : %(reason)s.", field=param or "?", reason=reason(problem))
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


def unread_field(error: Exception) -> ApiError | None:
    """The 400 of a form's field that is no text for flask-openapi, which reads it as JSON, and that JSON's reader gives
    up on: nested too deep, or a number of thousands of digits. None for any other error."""
    trace = error.__traceback__
    while isinstance(error, RecursionError | ValueError) and trace is not None:
        if trace.tb_frame.f_code.co_name == "_validate_form":
            field = str(trace.tb_frame.f_locals.get("key", "?")).removesuffix("[]")
            message = _("Champ « %(field)s » refusé : sa valeur est démesurée.", field=field)
            return ApiError(400, "invalid_value", message, field)
        trace = trace.tb_next
    return None


def on_validation_error(error: ValidationError) -> None:
    """flask-openapi's callback: raise, so that the one error handler renders it."""
    raise to_api_error(error)
