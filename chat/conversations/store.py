"""Conversations in the database. Each belongs to an owner, a managed key's id or None for the house: nobody sees
another's."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from chat.conversations import bounds
from chat.conversations.folding import excerpt, folded
from chat.conversations.models import Conversation, ConversationMessage
from chat.conversations.tree import latest_leaf
from common.database import Database, utc_now
from common.errors import ApiError
from common.messages import _

MAX_WORDS = 8
SEARCHED_AT_ONCE = 20
"""Conversations."""
_TITLE_LENGTH = 60


@dataclass(frozen=True)
class Summary:
    """A conversation in a list."""

    row: Conversation
    messages: int
    excerpt: str | None = None


@dataclass(frozen=True)
class Whole:
    """A conversation and all its messages, in the order in which they were made."""

    row: Conversation
    messages: list[ConversationMessage]


class ConversationStore:
    """Raises 404 `conversation_not_found`, `message_not_found`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listed(
        self, owner: str | None, search: str, limit: int, after: str | None = None
    ) -> tuple[list[Summary], bool]:
        """The latest conversations that hold every word of `search`, older than `after`; and whether there are more."""
        words = folded(search).split()[:MAX_WORDS]
        count = (
            select(func.count())
            .where(ConversationMessage.conversation_id == Conversation.id)
            .correlate(Conversation)
            .scalar_subquery()
        )
        order = (Conversation.updated_at.desc(), Conversation.id.desc())
        query = select(Conversation, count).where(_owned_by(owner)).order_by(*order)
        with self._database.read() as session:
            if after is not None:
                last = _owned(session, owner, after, param="after")
                older = and_(Conversation.updated_at == last.updated_at, Conversation.id < last.id)
                query = query.where(or_(Conversation.updated_at < last.updated_at, older))
            if not words:
                rows = session.execute(query.limit(limit + 1)).all()
                return [Summary(row, count) for row, count in rows[:limit]], len(rows) > limit
            ids = session.scalars(query.with_only_columns(Conversation.id)).all()
        found: list[Summary] = []
        for first in range(0, len(ids), SEARCHED_AT_ONCE):
            found += self._holding(query, ids[first : first + SEARCHED_AT_ONCE], words)
            if len(found) > limit:
                break
            time.sleep(0)  # a search of all that is kept may be long: others have their turn meanwhile
        return found[:limit], len(found) > limit

    def _holding(self, query: Select[Any], ids: Sequence[str], words: list[str]) -> list[Summary]:
        """Those of `ids` that hold every word."""
        query = query.where(Conversation.id.in_(ids), *(_holds(word) for word in words))
        with self._database.read() as session:
            rows = session.execute(query).all()
            said = _excerpts(session, [row.id for row, _count in rows], words) if rows else {}
        return [Summary(row, count, said.get(row.id)) for row, count in rows]

    def whole(self, owner: str | None, conversation_id: str) -> Whole:
        with self._database.read() as session:
            return Whole(_owned(session, owner, conversation_id), _messages(session, conversation_id))

    def create(
        self,
        owner: str | None,
        title: str = "",
        model: str | None = None,
        messages: Sequence[Mapping[str, Any]] = (),
        created_at: datetime | None = None,
    ) -> Whole:
        """A conversation, of one branch made of the `messages` (columns each). Raises 409 when there are too many."""
        now = created_at or utc_now()
        row = Conversation(id=f"conv_{secrets.token_hex(12)}", key_id=owner, model=model)
        row.created_at = row.updated_at = now
        _name(row, title or next((title_of(m["content"]) for m in messages if m["role"] == "user"), ""))
        if sum(len(values["content"]) for values in messages) > bounds.MAX_CHARACTERS:
            raise bounds.conversation_too_long()
        made: list[ConversationMessage] = []  # before the database is held: folding a long one takes a while
        for position, values in enumerate(messages):
            made.append(_message(row.id, row.current_id, position, {"created_at": now, **values}))
            row.current_id = made[-1].id
        with self._database.write() as session:
            if (session.scalar(select(func.count()).where(_owned_by(owner))) or 0) >= bounds.MAX_CONVERSATIONS:
                raise bounds.too_many_conversations()
            session.add(row)
            session.flush()
            session.add_all(made)
        return Whole(row, made)

    def change(self, owner: str | None, conversation_id: str, values: Mapping[str, Any]) -> Whole:
        """Change `title`, `model` or `current`: any message, whose latest branch is then read."""
        with self._database.write() as session:
            row = _owned(session, owner, conversation_id, lock=True)
            messages = _messages(session, conversation_id)
            if "title" in values:
                _name(row, values["title"])
            if "model" in values:
                row.model = values["model"]
            if "current" in values:
                if all(message.id != values["current"] for message in messages):
                    raise _no_message()
                row.current_id = latest_leaf(messages, values["current"])
        return Whole(row, messages)

    def delete(self, owner: str | None, conversation_id: str) -> None:
        with self._database.write() as session:
            session.delete(_owned(session, owner, conversation_id))

    def delete_all(self, owner: str | None) -> int:
        """How many there were."""
        with self._database.write() as session:
            gone = session.execute(delete(Conversation).where(_owned_by(owner)).returning(Conversation.id)).all()
        return len(gone)

    def add(
        self, owner: str | None, conversation_id: str, values: Mapping[str, Any], *, model: str | None = None
    ) -> Whole:
        """Add a message (columns) after its `parent_id`, or after the current one, and go on from there.

        `model`: the one that was asked last, from now on. Raises 409 when the conversation is full.
        """
        with self._database.write() as session:
            row = _owned(session, owner, conversation_id, lock=True)
            messages = _messages(session, conversation_id)
            answering = values.get("state") == "writing"  # what was asked is answered, even the last time
            if len(messages) >= bounds.MAX_MESSAGES + answering:
                raise bounds.conversation_full()
            size = sum(len(message.content) for message in messages) + len(values.get("content", ""))
            if size > bounds.MAX_CHARACTERS and not answering:
                raise bounds.conversation_too_long()
            parent = values.get("parent_id", row.current_id)
            if parent is not None and all(message.id != parent for message in messages):
                raise _no_message("parent_id")
            message = _message(row.id, parent, messages[-1].position + 1 if messages else 0, values)
            session.add(message)
            row.current_id, row.updated_at, row.model = message.id, utc_now(), model or row.model
            if not row.title and message.role == "user":
                _name(row, title_of(message.content))
        return Whole(row, [*messages, message])

    def read_on(self, owner: str | None, conversation_id: str, message_id: str, model: str | None) -> None:
        """Make a message the current one, whatever follows it, and `model` the one that was asked last."""
        with self._database.write() as session:
            row = _owned(session, owner, conversation_id, lock=True)
            row.current_id, row.updated_at, row.model = message_id, utc_now(), model

    def keep(self, message_id: str, values: Mapping[str, Any]) -> str | None:
        """Write columns of a message. Its state then; None when it was deleted meanwhile."""
        changed = dict(values)
        if "content" in changed:
            changed["folded"] = folded(changed["content"])
        with self._database.write() as session:
            wanted = update(ConversationMessage).where(ConversationMessage.id == message_id).values(changed)
            return session.scalar(wanted.returning(ConversationMessage.state))

    def state(self, message_id: str) -> str | None:
        """Of a message; None when it is not there."""
        with self._database.read() as session:
            return session.scalar(select(ConversationMessage.state).where(ConversationMessage.id == message_id))

    def message(self, owner: str | None, conversation_id: str, message_id: str) -> ConversationMessage:
        with self._database.read() as session:
            _owned(session, owner, conversation_id)
            found = session.get(ConversationMessage, message_id)
            if found is None or found.conversation_id != conversation_id:
                raise _no_message(None)
            return found

    def stop(self, owner: str | None, conversation_id: str) -> int:
        """Have the answers that are being written end, whatever process writes them. How many there were."""
        with self._database.write() as session:
            _owned(session, owner, conversation_id)
            written = (
                update(ConversationMessage)
                .where(ConversationMessage.conversation_id == conversation_id, ConversationMessage.state == "writing")
                .values(state="unfinished")
            )
            return len(session.scalars(written.returning(ConversationMessage.id)).all())

    def drop(self, message_id: str) -> None:
        """Delete an answer that was never begun: its question is the current message again, if it was."""
        with self._database.write() as session:
            found = session.get(ConversationMessage, message_id)
            if found is None:
                return
            session.execute(
                update(Conversation)
                .where(Conversation.id == found.conversation_id, Conversation.current_id == message_id)
                .values(current_id=found.parent_id)
            )
            session.delete(found)


def title_of(text: str) -> str:
    """The first words of a message, cut between words."""
    line = " ".join(text[:1000].split())
    if len(line) <= _TITLE_LENGTH:
        return line
    cut = line[:_TITLE_LENGTH]
    return f"{cut[: max(cut.rfind(' '), 20)].rstrip(' ,;:.')}…"


def _name(row: Conversation, title: str) -> None:
    row.title = title[: bounds.MAX_TITLE]
    row.folded_title = folded(row.title)[:600]


def _message(
    conversation_id: str, parent_id: str | None, position: int, values: Mapping[str, Any]
) -> ConversationMessage:
    row = ConversationMessage(**{"content": "", **values})
    row.id, row.conversation_id = f"msg_{secrets.token_hex(12)}", conversation_id
    row.parent_id, row.position = parent_id, position
    row.folded = folded(row.content)
    return row


def _owned_by(owner: str | None) -> ColumnElement[bool]:
    return Conversation.key_id.is_(None) if owner is None else Conversation.key_id == owner


def _holds(word: str) -> ColumnElement[bool]:
    said = select(ConversationMessage.id).where(
        ConversationMessage.conversation_id == Conversation.id,
        ConversationMessage.role != "system",
        ConversationMessage.folded.contains(word, autoescape=True),
    )
    return or_(Conversation.folded_title.contains(word, autoescape=True), said.exists())


def _excerpts(session: Session, ids: Iterable[str], words: list[str]) -> dict[str, str]:
    """Of each conversation, the first message that holds one of the words, around it."""
    query = (
        select(ConversationMessage.conversation_id, func.min(ConversationMessage.position).label("position"))
        .where(
            ConversationMessage.conversation_id.in_(list(ids)),
            ConversationMessage.role != "system",
            or_(*(ConversationMessage.folded.contains(word, autoescape=True) for word in words)),
        )
        .group_by(ConversationMessage.conversation_id)
        .subquery()
    )
    rows = session.execute(
        select(ConversationMessage.conversation_id, ConversationMessage.content).join(
            query,
            and_(
                ConversationMessage.conversation_id == query.c.conversation_id,
                ConversationMessage.position == query.c.position,
            ),
        )
    )
    return {conversation_id: excerpt(content, words) for conversation_id, content in rows}


def _owned(
    session: Session, owner: str | None, conversation_id: str, *, lock: bool = False, param: str | None = None
) -> Conversation:
    query = select(Conversation).where(Conversation.id == conversation_id, _owned_by(owner))
    row = session.scalars(query.with_for_update() if lock else query).first()
    if row is None:
        raise ApiError(404, "conversation_not_found", _("Cette discussion n'existe pas."), param)
    return row


def _messages(session: Session, conversation_id: str) -> list[ConversationMessage]:
    query = select(ConversationMessage).where(ConversationMessage.conversation_id == conversation_id)
    return list(session.scalars(query.order_by(ConversationMessage.position)))


def _no_message(param: str | None = "current") -> ApiError:
    return ApiError(404, "message_not_found", _("Ce message n'existe pas dans cette discussion."), param)
