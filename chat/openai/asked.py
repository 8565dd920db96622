"""What a request asks, looked at before it is passed on: the model it names, and whether its stream tells its usage.

Requests that nobody counts go by unread: gpt and asr check them and say what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.datastructures import FileStorage, MultiDict

from chat.keys.account import Account
from chat.llm import is_default
from common.web.multipart import Part
from common.web.validation import invalid_json

Names = Callable[[str | None], list[str]]
"""The id, then the aliases, of a model of gpt's or asr's; None: of the one that answers when none is named."""


def looked_at(data: bytes, account: Account | None, names: Names) -> tuple[bytes, bool]:
    """The JSON body to send, and whether the stream's usage is to be hidden from its reader.

    Raises ApiError 400 on what is no JSON object, 403 on a model that the key does not allow.
    """
    if account is None:
        return data, False
    body = _object(data)
    hide = _ask_usage(body)
    if account.restricted and isinstance(model := body.get("model"), str | None):
        body["model"] = permitted(model, account, names)
    return json.dumps(body).encode() if hide or account.restricted else data, hide


def form_parts(
    fields: MultiDict[str, str], files: MultiDict[str, FileStorage], account: Account | None, names: Names
) -> Mapping[str, Part]:
    """A form to send again, its model checked as above."""
    parts: dict[str, Part] = {name: values for name, values in fields.lists() if name != "model"}
    model = fields.get("model")
    if account is not None and account.restricted:
        model = permitted(model, account, names)
    if model is not None:
        parts["model"] = model
    for name, file in files.items():
        parts[name] = (file.filename or name, file.stream, file.content_type or "application/octet-stream")
    return parts


def permitted(model: str | None, account: Account, names: Names) -> str:
    """The name to send for `model`; when none is named, the one that would answer. Raises ApiError 403."""
    if not is_default(model):
        assert model is not None  # noqa: S101  `is_default` of None is true
        account.check_model(model, lambda: names(model))
        return model
    serving = names(None)
    account.check_model(serving[0], lambda: serving)
    return serving[0]


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise invalid_json() from error
    if not isinstance(body, dict):
        raise invalid_json()
    return body


def _ask_usage(body: dict[str, Any]) -> bool:
    """Make a stream tell its usage; True when its reader had not asked."""
    options = body.get("stream_options")
    if not body.get("stream") or not isinstance(options, dict | None):
        return False
    if options and options.get("include_usage") is True:
        return False
    body["stream_options"] = {**(options or {}), "include_usage": True}
    return True
