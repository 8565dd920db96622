"""What /v1/responses cannot do, said by name."""

from __future__ import annotations

from typing import Any

from common.errors import ApiError
from common.messages import _

# gpt's errors name the fields of a chat completion
_NAMES = {
    "max_completion_tokens": "max_output_tokens",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format.json_schema": "text.format",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}


def unsupported(name: str) -> ApiError:
    """The 400 of a parameter that is not honoured."""
    message = _("Le paramètre « %(name)s » n'est pas pris en charge.", name=name)
    return ApiError(400, "unsupported_parameter", message, name)


def refused_value(name: str) -> ApiError:
    """The 400 of a value that is none of those known."""
    return ApiError(400, "invalid_value", _("La valeur de « %(name)s » n'est pas prise en charge.", name=name), name)


def in_its_words(answer: dict[str, Any]) -> dict[str, Any]:
    """An error of the chat completion, with the field's name in a response."""
    error = answer.get("error")
    if not isinstance(error, dict) or not isinstance(param := error.get("param"), str):
        return answer
    if param.startswith(("tools[", "tool_choice.")):
        renamed = param.replace(".function", "", 1)
        message = str(error.get("message")).replace(param, renamed)
        return {"error": {**error, "message": message, "param": renamed}}
    for name, ours in _NAMES.items():
        if param == name or param.startswith((f"{name}[", f"{name}.")):
            renamed = ours if ours == "input" else ours + param[len(name) :]
            message = str(error.get("message")).replace(param, renamed)
            return {"error": {**error, "message": message, "param": renamed}}
    return answer
