"""Meetings and their steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "meetings",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.Column("stored_name", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("synthetic", sa.Boolean, nullable=False),
        sa.Column("language_asked", sa.String(16)),
        sa.Column("num_speakers", sa.Integer),
        sa.Column("messages_language", sa.String(2), nullable=False),
        sa.Column("duration", sa.Double),
        sa.Column("language", sa.String(16)),
        sa.Column("speakers", sa.JSON, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("owner", sa.String(128)),
        sa.Column("lease_until", moment),
        sa.PrimaryKeyConstraint("id", name="pk_meetings"),
    )
    op.create_index("ix_meetings_created_at", "meetings", ["created_at"])
    op.create_index("ix_meetings_state", "meetings", ["state"])
    op.create_table(
        "meeting_steps",
        sa.Column("meeting_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("seconds", sa.Double),
        sa.Column("error", sa.JSON),
        sa.Column("model", sa.String(200)),
        sa.Column("result", sa.Text),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("meeting_id", "name", name="pk_meeting_steps"),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["meetings.id"], name="fk_meeting_steps_meeting_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("meeting_steps")
    op.drop_table("meetings")
