"""Tables of meetings. A meeting is one row, and one row per step: what a step found is recorded as it ends."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.database import Base, UtcDateTime, utc_now

STEPS = ("asr", "diarize", "join", "minutes", "diagram")

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
FINAL = (DONE, FAILED, CANCELLED)
PENDING, WAITING = "pending", "waiting"


class Meeting(Base):
    """One recording and where its work stands."""

    __tablename__ = "meetings"
    __table_args__ = (Index("ix_meetings_created_at", "created_at"), Index("ix_meetings_state", "state"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16), default=QUEUED)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    version: Mapped[int] = mapped_column(default=1)
    """Grows with every change that a reader can see: the event stream watches it."""

    file_name: Mapped[str] = mapped_column(String(255))
    """The name the person gave the file."""
    stored_name: Mapped[str] = mapped_column(String(64))
    """Its name in DATA_DIR/uploads."""
    size: Mapped[int] = mapped_column(BigInteger)
    synthetic: Mapped[bool] = mapped_column(default=False)
    language_asked: Mapped[str | None] = mapped_column(String(16))
    num_speakers: Mapped[int | None]
    min_speakers: Mapped[int | None]
    max_speakers: Mapped[int | None]
    messages_language: Mapped[str] = mapped_column(String(2), default="fr")
    """The language in which other services are asked to write their messages."""

    duration: Mapped[float | None]
    language: Mapped[str | None] = mapped_column(String(16))
    speakers: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """Names given by the person, or by a known voice, by speaker id."""
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    owner: Mapped[str | None] = mapped_column(String(128))
    """The worker process that is on it, with the lease that it renews while it lives."""
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)

    steps: Mapped[list[Step]] = relationship(
        back_populates="meeting", cascade="all, delete-orphan", order_by="Step.position", lazy="selectin"
    )

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


class Step(Base):
    """One step of a meeting's work."""

    __tablename__ = "meeting_steps"

    meeting_id: Mapped[str] = mapped_column(ForeignKey("meetings.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    position: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default=PENDING)
    progress: Mapped[float] = mapped_column(default=0.0)
    seconds: Mapped[float | None]
    """How long it took, once it is over."""
    seconds_done: Mapped[float | None]
    """Seconds of the recording that are done, of `seconds_total`, and how many are done in a second (`rate`)."""
    seconds_total: Mapped[float | None]
    rate: Mapped[float | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    model: Mapped[str | None] = mapped_column(String(200))
    result: Mapped[str | None] = mapped_column(Text, deferred=True)
    """What the step found, as JSON text: read only where it is needed."""
    warnings: Mapped[list[Any]] = mapped_column(JSON, default=list)

    meeting: Mapped[Meeting] = relationship(back_populates="steps")


class Part(Base):
    """Words that asr has found so far, a few seconds' worth a row: an interrupted transcription goes on after them.

    They are here while the step is under way only; its result holds all of them.
    """

    __tablename__ = "meeting_parts"

    meeting_id: Mapped[str] = mapped_column(ForeignKey("meetings.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    through: Mapped[float]
    """Everything said before this second of the recording is in this part or in those before."""
    words: Mapped[str] = mapped_column(Text)
    """[[word, start, end], …] as JSON."""
