"""Messages kept in the database: ours stay translatable, those of other services are kept as they came."""

from __future__ import annotations

from typing import Any

from common.errors import ApiError
from common.messages import Text

Note = dict[str, Any]


def pack(message: Text | str) -> Note:
    """A JSON value that `unpack` renders in any language."""
    if isinstance(message, Text):
        return {"msgid": message.msgid, "params": {key: _param(value) for key, value in message.params.items()}}
    return {"text": message}


def _param(value: object) -> Any:
    if isinstance(value, Text):
        return pack(value)
    return value if isinstance(value, str | int | float) else str(value)


def unpack(note: Note, language: str) -> str:
    """The message in `language` ("fr" or "en")."""
    if "text" in note:
        return str(note["text"])
    params = {key: unpack(v, language) if isinstance(v, dict) else v for key, v in note["params"].items()}
    return Text(note["msgid"], params).render(language)


def pack_error(error: ApiError) -> Note:
    """An error as it is recorded with a step or a meeting."""
    return {"code": error.code, "message": pack(error.message), "service": error.extra.get("service")}


def unpack_error(note: Note | None, language: str) -> dict[str, Any] | None:
    """``{code, message, service?}`` as answers show it."""
    if note is None:
        return None
    shown = {"code": note["code"], "message": unpack(note["message"], language)}
    if note.get("service"):
        shown["service"] = note["service"]
    return shown
