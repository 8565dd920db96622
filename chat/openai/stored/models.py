"""The table of the answers kept by `store: true`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from chat.database import Base
from common.database import UtcDateTime


class StoredCompletion(Base):
    """A chat completion and the conversation that it answers."""

    __tablename__ = "stored_completions"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    """The managed key that asked; None: the house (a key of OPENAI_API_KEYS, a service, an open /v1)."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    model: Mapped[str] = mapped_column(String(500))
    labels: Mapped[dict[str, str] | None] = mapped_column("metadata", JSON(none_as_null=True))
    messages: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """The request's messages, each with its `id`, without images that are too large to be kept."""
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (Index("ix_stored_completions_owner", "key_id", "created_at"),)
