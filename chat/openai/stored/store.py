"""The completions kept: each seen by its owner only, for some days, and no more than some of each owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, Select, delete, select

from chat.openai.stored.models import StoredCompletion
from common.database import Database, utc_now
from common.errors import ApiError
from common.messages import _


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    rows: list[StoredCompletion]
    has_more: bool


class CompletionStore:
    """`owner`: the id of a managed key, or None for the house. Raises SQLAlchemy's errors."""

    def __init__(self, database: Database, *, most: int, days: int) -> None:
        """Keep the `most` newest of each owner, for `days`."""
        self._database = database
        self._most = most
        self._days = days

    @property
    def on(self) -> bool:
        """Whether anything is kept at all."""
        return self._most > 0

    def save(self, row: StoredCompletion) -> None:
        """Keep a completion, in place of the owner's of that id; what is too old or too many goes."""
        with self._database.write() as session:
            session.execute(delete(StoredCompletion).where(StoredCompletion.id == row.id, _owned_by(row.key_id)))
            session.add(row)
            session.flush()
            session.execute(delete(StoredCompletion).where(StoredCompletion.created_at < self._oldest()))
            newest = select(StoredCompletion.id).where(_owned_by(row.key_id))
            kept = newest.order_by(StoredCompletion.created_at.desc(), StoredCompletion.id.desc()).offset(self._most)
            if too_many := list(session.scalars(kept)):
                session.execute(delete(StoredCompletion).where(StoredCompletion.id.in_(too_many)))

    def one(self, completion_id: str, owner: str | None, *, param: str = "completion_id") -> StoredCompletion:
        """Raises OpenAI's 404, about `param`."""
        with self._database.read() as session:
            return _found(session.scalar(self._named(completion_id, owner)), completion_id, param)

    def relabel(self, completion_id: str, owner: str | None, labels: dict[str, str] | None) -> StoredCompletion:
        """Change the metadata. Raises 404."""
        with self._database.write() as session:
            row = _found(session.scalar(self._named(completion_id, owner)), completion_id)
            row.labels = labels
        return row

    def remove(self, completion_id: str, owner: str | None) -> None:
        """Raises 404."""
        with self._database.write() as session:
            session.delete(_found(session.scalar(self._named(completion_id, owner)), completion_id))

    def page(
        self,
        owner: str | None,
        *,
        after: str | None,
        limit: int,
        order: Literal["asc", "desc"],
        models: list[str] | None,
        labels: Mapping[str, str],
    ) -> Page:
        """Those that answer with one of `models` and bear `labels`, after the id `after`. Raises 404 on that id."""
        if limit == 0:
            return Page([], has_more=False)
        if after is not None:
            self.one(after, owner, param="after")
        query = self._visible(owner).with_only_columns(StoredCompletion.id, StoredCompletion.labels)
        if models is not None:
            query = query.where(StoredCompletion.model.in_([_known(model) for model in models]))
        with self._database.read() as session:
            places = session.execute(query.order_by(StoredCompletion.created_at, StoredCompletion.id))
            ids = [one for one, borne in places if one == after or _bears(borne, labels)]
            if order == "desc":
                ids.reverse()
            if after is not None:
                ids = ids[ids.index(after) + 1 :] if after in ids else []
            found = session.scalars(select(StoredCompletion).where(StoredCompletion.id.in_(ids[:limit])))
            rows = {row.id: row for row in found}
        return Page([rows[one] for one in ids[:limit]], len(ids) > limit)

    def _visible(self, owner: str | None) -> Select[StoredCompletion]:
        return select(StoredCompletion).where(_owned_by(owner), StoredCompletion.created_at >= self._oldest())

    def _named(self, completion_id: str, owner: str | None) -> Select[StoredCompletion]:
        return self._visible(owner).where(
            StoredCompletion.id == completion_id.replace("\0", "?")
        )  # PostgreSQL has no NUL

    def _oldest(self) -> datetime:
        return utc_now() - timedelta(days=self._days)


def _owned_by(owner: str | None) -> ColumnElement[bool]:
    return StoredCompletion.key_id.is_(None) if owner is None else StoredCompletion.key_id == owner


def _known(name: str) -> str:
    """A name to look for: PostgreSQL has no NUL."""
    return name.replace("\0", "?")


def _bears(given: Mapping[str, str] | None, wanted: Mapping[str, str]) -> bool:
    return all((given or {}).get(name) == value for name, value in wanted.items())


def _found(row: StoredCompletion | None, completion_id: str, param: str = "completion_id") -> StoredCompletion:
    if row is None:
        raise ApiError(404, "not_found", _("Réponse inconnue : « %(id)s ».", id=completion_id), param)
    return row
