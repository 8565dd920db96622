"""An answer written to the database while it comes, so that a kill loses half a second of it at most."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from chat.conversations.store import ConversationStore
from common.database import utc_now

KEPT_SECONDS = 0.5
SEEN_SECONDS = 5.0
"""How often the writer of a silent answer says that it is still there."""
LOST_AFTER = timedelta(seconds=15)
_log = logging.getLogger("frigo.conversations")


def is_lost(touched_at: datetime) -> bool:
    """Whether the writer of an answer, last seen then, is gone."""
    return utc_now() - touched_at > LOST_AFTER


class Watch(Protocol):
    def __call__(self, *, there: bool) -> None:
        """Called every half second; `there`: the message is there, and is being written."""


class Keeper:
    """Keeps what `said` gives of a message's columns, from `start` to `finish`, and tells `watch` of the message.

    Its thread alone writes: an answer that is stopped while it waits loses nothing.
    """

    def __init__(
        self, store: ConversationStore, message_id: str, said: Callable[[], dict[str, Any]], watch: Watch
    ) -> None:
        self._store = store
        self._message_id = message_id
        self._said = said
        self._tell = watch
        self._changed = False
        self._end: dict[str, Any] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def touch(self) -> None:
        """There is something new to keep."""
        self._changed = True

    def finish(self, state: Callable[[], str]) -> None:
        """Keep all that was said, and how it ended: returns once that is done. The first end is the one."""
        if not self._ended.is_set():
            self._end = {"state": state()}
            self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        silent = 0.0
        while not self._ended.wait(KEPT_SECONDS):
            silent += KEPT_SECONDS
            if self._changed or silent >= SEEN_SECONDS:
                silent = 0.0
                there = self._keep({})
            else:
                there = self._there()
            self._tell(there=there)
        self._keep(self._end)

    def _keep(self, values: dict[str, Any]) -> bool:
        self._changed = False
        try:
            return self._store.keep(self._message_id, {**self._said(), **values, "touched_at": utc_now()}) == "writing"
        except (SQLAlchemyError, sqlite3.Error):
            self._changed = True
            _log.warning("an answer cannot be kept yet", exc_info=True)
            return True

    def _there(self) -> bool:
        try:
            return self._store.state(self._message_id) == "writing"
        except (SQLAlchemyError, sqlite3.Error):
            return True
