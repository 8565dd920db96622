"""The messages of a conversation, as engines take them: text, and images as data: URLs. Nothing is ever fetched."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import ImagePart, Message, TextPart
from gpt.wire.refused import REFUSED_IN_MESSAGE, deep, refuse

MAX_IMAGES = 16  # in a request
MAX_IMAGE_BYTES = 20 * 2**20
_ROLES = {"developer": "system", "function": "tool"}
_OLD_CALL = "call_0"  # calls had no identifier when they were called functions
_TEXT = frozenset({"text", "input_text", "output_text"})
_IMAGE = frozenset({"image_url", "input_image"})
_DATA_URL = re.compile(r"data:image/(png|jpe?g|webp|gif)(;[\w.-]+=[\w.-]+)*;base64,", re.IGNORECASE | re.ASCII)


class Part(BaseModel):
    """A piece of a message: text, or an image."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: str | None = None
    image_url: str | dict[str, Any] | None = None


class CalledFunction(BaseModel):
    """What was called, and with what: JSON as text."""

    name: str = Field(max_length=200)
    arguments: str = ""


class ToolCall(BaseModel):
    """A call that the assistant made."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(max_length=200)
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(BaseModel):
    """One turn of the conversation."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: CalledFunction | None = Field(default=None, description="Ancien nom de tool_calls")
    reasoning_content: str | None = Field(default=None, description="Ce que le modèle a pensé à ce tour")


def refuse_without_content(messages: Sequence[ChatMessage]) -> None:
    """Raise 400 for the first message that says nothing, as OpenAI does: only the assistant may, when it did something
    else instead."""
    for at, message in enumerate(messages):
        given = message.model_extra or {}
        acted = message.tool_calls or message.function_call or message.reasoning_content
        if message.content is not None or (
            message.role == "assistant" and (acted or given.get("refusal") or given.get("audio"))
        ):
            continue
        param = f"messages[{at}].content"
        raise ApiError(400, "missing_field", _("Champ « %(field)s » absent.", field=param), param)


def first_image(messages: Sequence[ChatMessage]) -> tuple[str, str] | None:
    """Where the first image is (``messages[0].content``) and its part's type, or None when there is only text."""
    for at, message in enumerate(messages):
        for part in message.content if isinstance(message.content, list) else ():
            if part.type in _IMAGE:
                return f"messages[{at}].content", part.type
    return None


def read_messages(messages: Sequence[ChatMessage]) -> list[Message]:
    """The conversation, parts in their order. Raises 400 on a part that is neither text nor a usable image."""
    turns: list[Message] = []
    called: dict[str, str] = {}  # the name of each call so far
    images = 0
    for at, message in enumerate(messages):
        refuse(message.model_extra, REFUSED_IN_MESSAGE, f"messages[{at}].")
        content: str | list[TextPart | ImagePart] = ""
        if isinstance(message.content, str):
            content = message.content
        elif message.content is not None:
            parts = [_read(part, f"messages[{at}].content") for part in message.content]
            texts = [part["text"] for part in parts if part["type"] == "text"]
            images += len(parts) - len(texts)
            content = "\n".join(texts) if len(texts) == len(parts) else parts
        turn = _turn(message, content, f"messages[{at}]", called)
        called |= {call["id"]: call["function"]["name"] for call in turn.get("tool_calls") or ()}
        turns.append(turn)
    if images > MAX_IMAGES:
        reason = _("Au plus %(limit)s images sont acceptées dans une demande.", limit=MAX_IMAGES)
        raise ApiError(400, "invalid_value", reason, "messages")
    return turns


def _turn(
    message: ChatMessage, content: str | list[TextPart | ImagePart], where: str, called: Mapping[str, str]
) -> Message:
    """The message as engines take it, its older spellings made new."""
    turn: Message = {"role": _ROLES.get(message.role, message.role), "content": content}
    if message.role == "assistant":
        if message.reasoning_content:
            turn["reasoning_content"] = message.reasoning_content
        calls = [_call(call.id, call.function) for call in message.tool_calls or ()]
        if message.function_call is not None and not calls:
            calls = [_call(_OLD_CALL, message.function_call)]
        if calls:
            turn["tool_calls"] = calls
    elif turn["role"] == "tool":
        told = _OLD_CALL if message.role == "function" else message.tool_call_id
        if told is None:
            raise ApiError(400, "missing_field", _("Champ « tool_call_id » absent."), f"{where}.tool_call_id")
        turn["tool_call_id"] = told
        name = message.name or called.get(told)
        if name is not None:
            turn["name"] = name
    return turn


def _call(number: str, called: CalledFunction) -> dict[str, Any]:
    """A call, its arguments read when they are an object: templates write them themselves."""
    try:
        arguments = json.loads(called.arguments or "{}")
        json.dumps(arguments, ensure_ascii=False).encode()  # half a character, which no prompt can hold
    except (ValueError, RecursionError):
        arguments = called.arguments
    if not isinstance(arguments, dict) or deep(arguments):
        arguments = called.arguments
    return {"id": number, "type": "function", "function": {"name": called.name, "arguments": arguments}}


def _read(part: Part, param: str) -> TextPart | ImagePart:
    if part.type in _TEXT and part.text is not None:
        return {"type": "text", "text": part.text}
    if part.type in _IMAGE and part.image_url is not None:
        url = part.image_url if isinstance(part.image_url, str) else part.image_url.get("url")
        return {"type": "image", "data": _decode(url if isinstance(url, str) else "", param)}
    message = _("Seuls du texte et des images sont acceptés : « %(kind)s » ne l'est pas.", kind=part.type)
    raise ApiError(400, "unsupported_content", message, param)


def _decode(url: str, param: str) -> bytes:
    """The file inside a data: URL."""
    if url[:8].lower().startswith(("http://", "https://")):
        message = _(
            "Les images à une adresse http(s) ne sont pas cherchées : "
            "envoyez l'image elle-même, en « data:image/…;base64,… »."
        )
        raise ApiError(400, "unsupported_content", message, param)
    head = _DATA_URL.match(url[:200])
    if head is None:
        message = _("Une image est attendue en « data:image/png;base64,… » (PNG, JPEG, WebP ou GIF).")
        raise ApiError(400, "invalid_image", message, param)
    if (len(url) - head.end()) * 3 // 4 > MAX_IMAGE_BYTES + 2:
        message = _("Une image dépasse %(limit)s Mo.", limit=MAX_IMAGE_BYTES // 2**20)
        raise ApiError(400, "invalid_image", message, param)
    try:
        data = base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError(400, "invalid_image", _("Le base64 d'une image n'est pas lisible."), param) from error
    if not data:
        raise ApiError(400, "invalid_image", _("Une image est vide."), param)
    return data
