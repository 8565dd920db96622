"""`store: true`: the answer is kept as it goes by, in one piece or by chunks, and is there before its end is told."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Response
from sqlalchemy.exc import SQLAlchemyError

from chat.keys.account import owner
from chat.openai.assembly import Assembly
from chat.openai.events import DONE, Events, as_object
from chat.openai.relay import EVENT_STREAM
from chat.openai.stored.metadata import checked
from chat.openai.stored.models import StoredCompletion
from chat.openai.stored.store import CompletionStore
from common.database import utc_now

MOST_BYTES = 8 * 1024 * 1024  # of the messages of one request
_ASKED = (
    *("frequency_penalty", "max_completion_tokens", "presence_penalty", "response_format", "seed", "temperature"),
    *("tool_choice", "tools", "top_p"),
)
_log = logging.getLogger("frigo.stored")


class Keeper:
    """Looks at requests for `store: true`; those without it are not read."""

    def __init__(self, store: CompletionStore) -> None:
        self._store = store

    def asked(self, data: bytes) -> Keeping | None:
        """What is to be kept of the request `data`; None when nothing is. Raises ApiError 400 on its metadata."""
        if not self._store.on or b'"store"' not in data or (body := as_object(data)) is None:
            return None
        if body.get("store") is not True:
            return None
        return Keeping(self._store, body, checked(body.get("metadata")), owner())


class Keeping:
    """One request whose answer is to be kept."""

    def __init__(
        self, store: CompletionStore, body: dict[str, Any], labels: dict[str, str] | None, owner: str | None
    ) -> None:
        self._store = store
        self._body = body
        self._labels = labels
        self._owner = owner

    def of(self, response: Response) -> Response:
        """`response`, kept when it is no error and came to its end."""
        if response.status_code >= 400:
            return response
        if not (response.content_type or "").startswith(EVENT_STREAM):
            if (answer := as_object(response.get_data())) is not None:
                self._keep(answer)
            return response
        response.response = self._watched(response.iter_encoded())
        return response

    def _watched(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        events, assembly = Events(), Assembly()
        try:
            for chunk in chunks:
                for data in events.feed(chunk):
                    if data == DONE and assembly.whole:
                        self._keep(assembly.completion())
                    elif (event := as_object(data)) is not None:
                        assembly.add(event)
                yield chunk
        finally:
            if (close := getattr(chunks, "close", None)) is not None:
                close()

    def _keep(self, answer: dict[str, Any]) -> None:
        """What cannot be kept is no reason to lose the answer."""
        if not isinstance(answer.get("id"), str) or (messages := self._messages(answer["id"])) is None:
            return
        told = {name: self._body[name] for name in _ASKED if self._body.get(name) is not None}
        row = StoredCompletion(
            id=answer["id"][:100],
            key_id=self._owner,
            created_at=utc_now(),
            model=str(answer.get("model") or self._body.get("model"))[:500],
            labels=self._labels,
            messages=messages,
            answer={**told, **answer},
        )
        try:
            self._store.save(row)
        except (SQLAlchemyError, sqlite3.Error):
            _log.warning("a completion cannot be kept", exc_info=True)

    def _messages(self, completion_id: str) -> list[dict[str, Any]] | None:
        """The request's, without their images when they are too large; None when their text is."""
        given = [message for message in self._body.get("messages") or () if isinstance(message, dict)]
        messages = [{**message, "id": f"{completion_id}-{at}"} for at, message in enumerate(given)]
        if _size(messages) > MOST_BYTES:
            messages = [_without_images(message) for message in messages]
        if _size(messages) > MOST_BYTES:
            _log.warning("a completion is too large to be kept")
            return None
        return messages


def _size(messages: list[dict[str, Any]]) -> int:
    return len(json.dumps(messages))


def _without_images(message: dict[str, Any]) -> dict[str, Any]:
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    return {**message, "content": [part for part in parts if isinstance(part, dict) and part.get("type") == "text"]}
