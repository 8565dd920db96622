"""Conversations, and their messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(16)),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("folded_title", sa.String(600), nullable=False),
        sa.Column("model", sa.String(500)),
        sa.Column("current_id", sa.String(32)),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name="fk_conversations_key_id", ondelete="CASCADE"),
    )
    op.create_index("ix_conversations_owner", "conversations", ["key_id", "updated_at", "id"])
    op.create_table(
        "conversation_messages",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("conversation_id", sa.String(32), nullable=False),
        sa.Column("parent_id", sa.String(32)),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("reasoning", sa.Text),
        sa.Column("model", sa.String(500)),
        sa.Column("asked_model", sa.String(500)),
        sa.Column("tool", sa.String(16)),
        sa.Column("diagram", sa.JSON),
        sa.Column("tool_runs", sa.JSON),
        sa.Column("usage", sa.JSON),
        sa.Column("left_out", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("finish_reason", sa.String(32)),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("touched_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversation_messages"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_conversation_messages_conversation_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_conversation_messages_place", "conversation_messages", ["conversation_id", "position"])


def downgrade() -> None:
    op.drop_table("conversation_messages")
    op.drop_table("conversations")
