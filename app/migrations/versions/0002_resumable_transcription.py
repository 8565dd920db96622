"""Transcriptions that go on where they stopped, progress in seconds, bounds on the number of speakers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STEP_COLUMNS = ("seconds_done", "seconds_total", "rate")
_MEETING_COLUMNS = ("min_speakers", "max_speakers")


def upgrade() -> None:
    for name in _STEP_COLUMNS:
        op.add_column("meeting_steps", sa.Column(name, sa.Double))
    for name in _MEETING_COLUMNS:
        op.add_column("meetings", sa.Column(name, sa.Integer))
    op.create_table(
        "meeting_parts",
        sa.Column("meeting_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("through", sa.Double, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("meeting_id", "position", name="pk_meeting_parts"),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["meetings.id"], name="fk_meeting_parts_meeting_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("meeting_parts")
    for name in _MEETING_COLUMNS:
        op.drop_column("meetings", name)
    for name in _STEP_COLUMNS:
        op.drop_column("meeting_steps", name)
