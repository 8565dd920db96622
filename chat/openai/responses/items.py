"""The items of a response's input as the messages of a chat completion."""

from __future__ import annotations

from typing import Any

from chat.openai.responses.refused import refused_value, unsupported
from common.errors import ApiError
from common.messages import _

_ROLES = ("user", "assistant", "system", "developer")
_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")


def messages_of(given: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages, in the items' order. An answer's text, calls and reasoning make one message, as its items were one.

    Raises ApiError 400 on an item, or a part of one, that has no place in a chat completion.
    """
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    messages: list[dict[str, Any]] = []
    thought = ""
    for at, item in enumerate(given):
        where = f"input[{at}]"
        kind = item.get("type") or ("message" if "role" in item else None)
        if kind == "reasoning":
            thought += _thought(item)
        elif kind == "message":
            message = _message(item, where)
            if thought and message["role"] == "assistant":
                message["reasoning_content"], thought = thought, ""
            messages.append(message)
        elif kind == "function_call":
            turn = messages[-1] if messages and messages[-1]["role"] == "assistant" else None
            if turn is None:
                turn = {"role": "assistant", "content": None}
                messages.append(turn)
            if thought:
                turn["reasoning_content"], thought = thought, ""
            turn.setdefault("tool_calls", []).append(_call(item, where))
        elif kind == "function_call_output":
            content = _content(item.get("output"), f"{where}.output")
            messages.append({"role": "tool", "tool_call_id": _text(item, "call_id", where), "content": content})
        elif kind is None:
            raise ApiError(400, "missing_field", _("Le champ « %(name)s » est absent.", name=f"{where}.type"), where)
        else:
            raise refused_value(f"{where}.type")
    return messages


def _message(item: dict[str, Any], where: str) -> dict[str, Any]:
    role = item.get("role")
    if role not in _ROLES:
        raise refused_value(f"{where}.role")
    return {"role": role, "content": _content(item.get("content"), f"{where}.content")}


def _content(given: Any, where: str) -> str | list[dict[str, Any]]:
    """Text alone as a text, text and images as parts."""
    if isinstance(given, str):
        return given
    if not isinstance(given, list):
        raise refused_value(where)
    parts = [_part(part, f"{where}[{at}]") for at, part in enumerate(given)]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _part(part: Any, where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXTS:
        return {"type": "text", "text": _text(part, "text", where)}
    if kind == "refusal":
        return {"type": "text", "text": _text(part, "refusal", where)}
    if kind == "input_image":
        if part.get("file_id") is not None:
            raise unsupported(f"{where}.file_id")
        image = {"url": _text(part, "image_url", where)}
        return {"type": "image_url", "image_url": {**image, **_given(part, "detail")}}
    raise refused_value(f"{where}.type")


def _call(item: dict[str, Any], where: str) -> dict[str, Any]:
    function = {"name": _text(item, "name", where), "arguments": _text(item, "arguments", where)}
    return {"id": _text(item, "call_id", where), "type": "function", "function": function}


def _thought(item: dict[str, Any]) -> str:
    """What the model thought, when it says so in clear."""
    parts = item.get("content") or item.get("summary")
    given = parts if isinstance(parts, list) else []
    return "".join(str(part.get("text") or "") for part in given if isinstance(part, dict))


def _text(item: dict[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if isinstance(value, str):
        return value
    raise ApiError(400, "invalid_value", _("« %(name)s » est un texte.", name=f"{where}.{name}"), f"{where}.{name}")


def _given(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {name: item[name]} if item.get(name) is not None else {}
