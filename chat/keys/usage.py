"""What is used with each key on each day: added up in memory, written to the database every second.

A process that is killed loses the last second; one that stops writes it.
"""

from __future__ import annotations

import atexit
import logging
import threading
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from chat.keys.models import ApiKey, KeyUsage
from common.database import Database, utc_now

FLUSH_SECONDS = 1.0
_COUNTS = ("requests", "prompt_tokens", "completion_tokens", "audio_seconds")
_log = logging.getLogger("frigo.keys")


@dataclass(frozen=True)
class Usage:
    """What one or several requests used."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    audio_seconds: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, name) + getattr(other, name) for name in _COUNTS))

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in _COUNTS)

    def public(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in _COUNTS}


NOTHING = Usage()
_Sheet = dict[tuple[str, date], Usage]


def usage_of(answer: Any) -> Usage:
    """The tokens or the seconds that an answer, or an event, says it used; nothing when it does not say."""
    used = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(used, dict):
        return NOTHING
    return Usage(
        prompt_tokens=int(_number(used.get("prompt_tokens", used.get("input_tokens")))),
        completion_tokens=int(_number(used.get("completion_tokens", used.get("output_tokens")))),
        audio_seconds=float(_number(used.get("seconds"))),
    )


class UsageBook:
    """One per process."""

    def __init__(self, database: Database, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._database = database
        self._flush_seconds = flush_seconds
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._open: _Sheet = {}
        self._closed: _Sheet = {}  # being written
        self._planned = False
        atexit.register(self.flush)

    def add(self, key_id: str, used: Usage) -> None:
        """Count `used` today."""
        if not used:
            return
        with self._lock:
            _add(self._open, (key_id, today()), used)
            if self._planned:
                return
            self._planned = True
        self._plan()

    def unwritten(self, key_id: str) -> Usage:
        """What was used today and is not in the database yet (while it is being written: perhaps)."""
        place = (key_id, today())
        with self._lock:
            return self._open.get(place, NOTHING) + self._closed.get(place, NOTHING)

    def flush(self) -> None:
        """Write what was counted. What cannot be written is kept for the next time."""
        with self._writing:
            with self._lock:
                self._planned = False
                self._closed, self._open = self._open, {}
            if not self._closed:
                return
            try:
                with self._database.write() as session:
                    for (key_id, day), used in sorted(self._closed.items()):  # in one order: no deadlock
                        session.execute(_added(self._database, key_id, day, used))
            except SQLAlchemyError:
                _log.warning("usage cannot be written yet", exc_info=True)
                with self._lock:
                    for place, used in self._closed.items():
                        _add(self._open, place, used)
                    self._planned = True
                self._plan()
            with self._lock:
                self._closed = {}

    def _plan(self) -> None:
        timer = threading.Timer(self._flush_seconds, self.flush)
        timer.daemon = True
        timer.start()


def today() -> date:
    """The day of UTC, at whose end a day's limit begins anew."""
    return utc_now().date()


def _add(sheet: _Sheet, place: tuple[str, date], used: Usage) -> None:
    sheet[place] = sheet.get(place, NOTHING) + used


def _added(database: Database, key_id: str, day: date, used: Usage) -> Insert:
    """The statement that adds to a row, or makes it; it does nothing for a key that was forgotten meanwhile."""
    columns = KeyUsage.__table__.c
    values: dict[str, Any] = {"key_id": key_id, "day": day, **used.public()}
    row = select(*(literal(value, columns[name].type) for name, value in values.items())).where(
        select(ApiKey.id).where(ApiKey.id == key_id).exists()
    )
    dialect = postgresql if database.engine.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(KeyUsage).from_select(list(values), row)
    kept: Insert = insert.on_conflict_do_update(
        index_elements=["key_id", "day"], set_={name: columns[name] + insert.excluded[name] for name in _COUNTS}
    )
    return kept


def _number(value: object) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0
