"""Chat completions kept because the request said `store: true`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stored_completions",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("key_id", sa.String(16)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.String(500), nullable=False),
        sa.Column("metadata", sa.JSON),
        sa.Column("messages", sa.JSON, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stored_completions"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name="fk_stored_completions_key_id", ondelete="CASCADE"),
    )
    op.create_index("ix_stored_completions_owner", "stored_completions", ["key_id", "created_at"])


def downgrade() -> None:
    op.drop_table("stored_completions")
