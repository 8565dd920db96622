"""The keys that were made, and what was used with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import bindparam, delete, select

from chat.keys import secret
from chat.keys.kept import Kept
from chat.keys.models import ApiKey, KeyUsage
from chat.keys.usage import Usage, UsageBook, today
from common.database import Database, utc_now
from common.errors import ApiError
from common.messages import _

_KEY, _USAGE = ApiKey.__table__.c, KeyUsage.__table__.c
_HOLDER = (  # made once: it runs for each request
    select(
        *(_KEY.salt, _KEY.digest, _KEY.expires_at, _KEY.revoked_at, _KEY.models),
        *(_KEY.requests_per_minute, _KEY.tokens_per_day, _USAGE.prompt_tokens, _USAGE.completion_tokens),
    )
    .select_from(ApiKey)
    .outerjoin(KeyUsage, (KeyUsage.key_id == ApiKey.id) & (KeyUsage.day == bindparam("day")))
    .where(ApiKey.id == bindparam("key_id"))
)
State = Literal["active", "expired", "revoked"]


@dataclass(frozen=True)
class Holder:
    """Who holds a right key: what the key allows, and what was used with it today."""

    id: str
    state: State
    models: tuple[str, ...] | None
    requests_per_minute: int | None
    tokens_per_day: int | None
    tokens_today: int


@dataclass(frozen=True)
class DayUsage:
    """What was used with a key on a day (UTC)."""

    key_id: str
    day: date
    used: Usage


class KeyStore:
    """Raises SQLAlchemy's errors when the database does not answer."""

    def __init__(self, database: Database, book: UsageBook) -> None:
        self._database = database
        self._book = book
        self._kept: Kept[Any] = Kept(database)

    def create(self, **values: Any) -> tuple[ApiKey, str]:
        """Make a key with the columns given: its row, and the key, which is never known again."""
        key_id, key = secret.new_key()
        salt, digest = secret.seal(key)
        row = ApiKey(id=key_id, salt=salt, digest=digest, **values)
        with self._database.write() as session:
            session.add(row)
        return row, key

    def all(self) -> list[ApiKey]:
        with self._database.read() as session:
            return list(session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)))

    def any(self) -> bool:
        """Whether a key was ever made, and not forgotten since: /v1 is then for key holders."""
        with self._database.read() as session:
            return session.execute(select(ApiKey.id).limit(1)).first() is not None

    def change(self, key_id: str, values: Mapping[str, Any]) -> ApiKey:
        """Change columns. Raises 404, and 409 on a revoked key."""
        with self._database.write() as session:
            row = _row(session.get(ApiKey, key_id))
            if row.revoked_at is not None:
                raise ApiError(409, "key_revoked", _("Cette clé est révoquée : elle ne change plus."))
            for name, value in values.items():
                setattr(row, name, value)
        return row

    def revoke(self, key_id: str) -> None:
        """End a key, for all processes, from the next request on; its usage stays. Raises 404."""
        with self._database.write() as session:
            row = _row(session.get(ApiKey, key_id))
            row.revoked_at = row.revoked_at or utc_now()

    def forget(self, key_id: str) -> None:
        """Revoke a key and drop all that is known of it. Raises 404."""
        with self._database.write() as session:
            _row(session.get(ApiKey, key_id))
            session.execute(delete(KeyUsage).where(KeyUsage.key_id == key_id))
            session.execute(delete(ApiKey).where(ApiKey.id == key_id))

    def holder(self, key: str) -> Holder | None:
        """Who holds `key`, or None when it is not one of ours."""
        key_id = secret.id_of(key)
        if key_id is None:
            return None
        waiting = self._book.unwritten(key_id)  # before the database is read: what is written meanwhile counts twice
        place, version = (key_id, today()), self._kept.version()
        row = self._kept.get(place, version)
        if row is None:
            with self._database.engine.connect() as connection:
                row = connection.execute(_HOLDER, {"key_id": key_id, "day": place[1]}).first()
            if row is not None:
                self._kept.put(place, row, version)
        if not secret.opens(key, row.salt if row else None, row.digest if row else None) or row is None:
            return None
        return Holder(
            id=key_id,
            state=state(row.expires_at, row.revoked_at),
            models=tuple(row.models) if row.models is not None else None,
            requests_per_minute=row.requests_per_minute,
            tokens_per_day=row.tokens_per_day,
            tokens_today=(row.prompt_tokens or 0) + (row.completion_tokens or 0) + waiting.tokens,
        )

    def usage(self, days: int, key_id: str | None = None) -> list[DayUsage]:
        """Usage of the last `days` days, today included: oldest first. Raises 404 on an unknown `key_id`."""
        query = select(KeyUsage).where(KeyUsage.day > today() - timedelta(days=days))
        with self._database.read() as session:
            if key_id is not None:
                _row(session.get(ApiKey, key_id))
                query = query.where(KeyUsage.key_id == key_id)
            rows = list(session.scalars(query.order_by(KeyUsage.day, KeyUsage.key_id)))
        return [DayUsage(row.key_id, row.day, _used(row)) for row in rows]

    def used_today(self) -> dict[str, Usage]:
        return {row.key_id: row.used for row in self.usage(1)}


def state(expires_at: datetime | None, revoked_at: datetime | None) -> State:
    if revoked_at is not None:
        return "revoked"
    return "expired" if expires_at is not None and expires_at <= utc_now() else "active"


def _used(row: KeyUsage) -> Usage:
    return Usage(row.requests, row.prompt_tokens, row.completion_tokens, row.audio_seconds)


def _row(row: ApiKey | None) -> ApiKey:
    if row is None:
        raise ApiError(404, "key_not_found", _("Cette clé n'existe pas."))
    return row
