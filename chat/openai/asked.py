"""What a request asks, looked at before it is passed on: the model it names, and whether its stream tells its usage.

Requests of which nothing is counted, limited or renamed go by unread: gpt and asr check them and say what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import FileStorage, MultiDict

from chat.keys.account import Account
from chat.openai.aliases import Chooser
from common.web import strict_json
from common.web.multipart import Part
from common.web.validation import invalid_json


def looked_at(data: bytes, account: Account | None, chooser: Chooser) -> tuple[bytes, bool]:
    """The JSON body to send, and whether the stream's usage is to be hidden from its reader.

    Raises ApiError 400 on what is no JSON object, 403 on a model that the key does not allow.
    """
    if account is None and not chooser.reads(account):
        return data, False
    body = _object(data)
    hide = account is not None and _ask_usage(body)
    changed = hide
    asked = body.get("model")
    if chooser.reads(account) and isinstance(asked, str | None):
        model = chooser.choose(asked, account)
        changed = changed or model != asked or (account is not None and account.restricted)
        if model is not None:
            body["model"] = model
    return json.dumps(body).encode() if changed else data, hide


def form_parts(
    fields: MultiDict[str, str], files: MultiDict[str, FileStorage], account: Account | None, chooser: Chooser
) -> Mapping[str, Part]:
    """A form to send again, its model checked as above."""
    parts: dict[str, Part] = {name: values for name, values in fields.lists() if name != "model"}
    model = chooser.choose(fields.get("model"), account)
    if model is not None:
        parts["model"] = model
    for name, file in files.items():
        parts[name] = (file.filename or name, file.stream, file.content_type or "application/octet-stream")
    return parts


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = strict_json.loads(data)
    except ValueError as error:
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
