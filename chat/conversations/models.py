"""The tables of the conversations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from chat.database import Base
from common.database import UtcDateTime, utc_now


class Conversation(Base):
    """A tree of messages, of which the branch that ends at `current_id` is read."""

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    """The managed key that it belongs to; None: the house (a key of OPENAI_API_KEYS, a service, an open /v1)."""
    title: Mapped[str] = mapped_column(String(200), default="")
    folded_title: Mapped[str] = mapped_column(String(600), default="")
    """`folded`: what a search looks at."""
    model: Mapped[str | None] = mapped_column(String(500))
    """The model that was asked last."""
    current_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)

    __table_args__ = (Index("ix_conversations_owner", "key_id", "updated_at", "id"),)


class ConversationMessage(Base):
    """One message. Its parent is the one before it; the children of one parent are its branches."""

    __tablename__ = "conversation_messages"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    parent_id: Mapped[str | None] = mapped_column(String(32))
    position: Mapped[int] = mapped_column(Integer)
    """The order in which the messages of a conversation were made."""
    role: Mapped[str] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(Text, default="")
    folded: Mapped[str] = mapped_column(Text, default="", deferred=True)  # for searches, which look at it in place
    reasoning: Mapped[str | None] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(String(500))
    """The model that answered; `asked_model`: the one that was asked for by name."""
    asked_model: Mapped[str | None] = mapped_column(String(500))
    tool: Mapped[str | None] = mapped_column(String(16))
    diagram: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    tool_runs: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    left_out: Mapped[int] = mapped_column(Integer, default=0)
    """How many older messages the model was not shown, for want of room."""
    state: Mapped[str] = mapped_column(String(16), default="done")
    """done, writing, unfinished (it was stopped, or we were) or failed (`error` says why)."""
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    finish_reason: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    touched_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    """Of a message in the state writing: when its writer was last seen."""

    __table_args__ = (Index("ix_conversation_messages_place", "conversation_id", "position"),)
