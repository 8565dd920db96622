"""Meetings as a person handles them: made, listed, renamed, cancelled, tried again, deleted."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, selectinload, undefer

from app.database import Database, utc_now
from app.meetings import view
from app.meetings.models import (
    CANCELLED,
    DONE,
    FAILED,
    FINAL,
    PENDING,
    QUEUED,
    RUNNING,
    STEPS,
    WAITING,
    Meeting,
    Part,
    Step,
)
from common.errors import ApiError
from common.messages import _

MAX_TITLE = 200
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str) -> str:
    """The text without ends of lines and control characters, some of which no PostgreSQL takes (NUL)."""
    return _CONTROLS.sub(" ", text).strip()


@dataclass(frozen=True)
class NewMeeting:
    """What is needed to begin: the recording is already on disk under `stored_name`."""

    stored_name: str
    file_name: str
    size: int
    title: str | None = None
    language: str | None = None
    num_speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    synthetic: bool = False
    messages_language: str = "fr"


@dataclass(frozen=True)
class Turns:
    """``{speaker, start, end}`` of each turn: all, and with one speaker at a time; `names` are those people chose."""

    all: list[dict[str, Any]]
    exclusive: list[dict[str, Any]]
    names: dict[str, str]


def not_found(meeting_id: str) -> ApiError:
    return ApiError(404, "meeting_not_found", _("Aucune réunion n'a l'identifiant « %(id)s ».", id=meeting_id[:40]))


def changed(meeting: Meeting) -> None:
    """Note that readers have something new to see."""
    meeting.version += 1
    meeting.updated_at = utc_now()


class MeetingStore:
    """Every method is one short transaction."""

    def __init__(self, database: Database, uploads: Path) -> None:
        self.database = database
        self.uploads = uploads

    def create(self, new: NewMeeting) -> str:
        """Record the meeting, ready to be worked on, and return its id."""
        meeting_id = uuid.uuid4().hex
        file_name = one_line(new.file_name)
        title = one_line(new.title or "") or Path(file_name).stem.strip() or file_name
        now = utc_now()
        meeting = Meeting(
            id=meeting_id,
            title=title[:MAX_TITLE],
            file_name=file_name[:255],
            stored_name=new.stored_name,
            size=new.size,
            synthetic=new.synthetic,
            language_asked=new.language,
            num_speakers=new.num_speakers,
            min_speakers=new.min_speakers,
            max_speakers=new.max_speakers,
            messages_language=new.messages_language,
            created_at=now,
            updated_at=now,
            steps=[Step(name=name, position=position) for position, name in enumerate(STEPS)],
        )
        with self.database.write() as session:
            session.add(meeting)
        return meeting_id

    def listed(self, language: str, *, limit: int = 100, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The newest meetings first, and how many there are in all."""
        query = select(Meeting).order_by(Meeting.created_at.desc(), Meeting.id).limit(limit).offset(offset)
        with self.database.read() as session:
            total = session.scalar(select(func.count()).select_from(Meeting)) or 0
            return [view.summary(meeting, language) for meeting in session.scalars(query)], total

    def get(self, meeting_id: str, language: str) -> dict[str, Any]:
        """The whole meeting as JSON. Raises ApiError 404."""
        with self.database.read() as session:
            return view.full(_whole(session, meeting_id), language)

    def turns(self, meeting_id: str) -> Turns:
        """The diarization's own turns (who spoke when), which are finer than the transcript's segments."""
        with self.database.read() as session:
            meeting = _whole(session, meeting_id)
            result = meeting.step("diarize").result
        found = json.loads(result) if result else {}
        turns = list(found.get("segments", []))
        return Turns(turns, list(found.get("exclusive") or turns), dict(meeting.speakers))

    def version(self, meeting_id: str) -> tuple[int, str] | None:
        """(version, state), or None when there is no such meeting: cheap enough to be asked often."""
        query = select(Meeting.version, Meeting.state).where(Meeting.id == meeting_id)
        with self.database.read() as session:
            row = session.execute(query).one_or_none()
        return (row[0], row[1]) if row else None

    def recording(self, meeting_id: str) -> tuple[Path, str]:
        """The recording's file and the name that the person gave it. Raises ApiError 404."""
        with self.database.read() as session:
            meeting = session.get(Meeting, meeting_id)
            if meeting is None:
                raise not_found(meeting_id)
            return self.uploads / meeting.stored_name, meeting.file_name

    def edit(self, meeting_id: str, *, title: str | None, speakers: dict[str, str] | None) -> None:
        """Change the title or names of speakers; an empty name gives its number back to a speaker."""
        with self.database.write() as session:
            meeting = _one(session, meeting_id)
            if title is not None:
                meeting.title = one_line(title)[:MAX_TITLE] or meeting.title
            if speakers is not None:
                merged = meeting.speakers | {key: name.strip() for key, name in speakers.items()}
                meeting.speakers = {key: name for key, name in merged.items() if name}
            changed(meeting)

    def cancel(self, meeting_id: str) -> None:
        """Stop the work; a meeting that is over stays as it is."""
        with self.database.write() as session:
            meeting = _one(session, meeting_id)
            if meeting.state in FINAL:
                return
            meeting.state = CANCELLED
            # Whoever cancels and tries again most often changed the model: its words and another's do not mix.
            session.execute(delete(Part).where(Part.meeting_id == meeting_id))
            meeting.owner = meeting.lease_until = None
            reset_unfinished(meeting)
            changed(meeting)

    def retry(self, meeting_id: str) -> None:
        """Queue the meeting again, from the first step that is not done. Raises ApiError 409 when there is none."""
        with self.database.write() as session:
            meeting = _one(session, meeting_id)
            if meeting.state in (QUEUED, RUNNING):
                return
            if meeting.state == DONE and not any(step.state == FAILED for step in meeting.steps):
                raise ApiError(409, "nothing_to_retry", _("Cette réunion est terminée : il n'y a rien à reprendre."))
            reset_unfinished(meeting, also=(FAILED,))
            meeting.state, meeting.error = QUEUED, None
            meeting.owner = meeting.lease_until = None
            changed(meeting)

    def delete(self, meeting_id: str) -> None:
        """Forget the meeting and its recording; a worker that is on it notices and stops."""
        with self.database.write() as session:
            meeting = _one(session, meeting_id)
            stored_name = meeting.stored_name
            session.delete(meeting)
        (self.uploads / stored_name).unlink(missing_ok=True)


def _one(session: Session, meeting_id: str) -> Meeting:
    meeting = session.get(Meeting, meeting_id, with_for_update=True)
    if meeting is None:
        raise not_found(meeting_id)
    return meeting


def _whole(session: Session, meeting_id: str) -> Meeting:
    meeting = session.get(Meeting, meeting_id, options=[selectinload(Meeting.steps).options(undefer(Step.result))])
    if meeting is None:
        raise not_found(meeting_id)
    return meeting


def reset_unfinished(meeting: Meeting, *, also: tuple[str, ...] = ()) -> None:
    """Steps that were under way (or in a state of `also`) are to be done again."""
    for step in meeting.steps:
        if step.state in (RUNNING, WAITING, *also):
            step.state, step.progress, step.seconds, step.error, step.warnings = PENDING, 0.0, None, None, []
            step.seconds_done = step.seconds_total = step.rate = None
