"""A meeting as the worker that took it writes it, step by step.

Every write checks that the meeting is still this worker's: one that was cut off, or whose meeting was cancelled or
deleted meanwhile, can no longer change anything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.database import Database
from app.meetings.calls import Advance, HeardWord
from app.meetings.models import DONE, FAILED, QUEUED, RUNNING, WAITING, Meeting, Part, Step
from app.meetings.notes import pack, pack_error
from app.meetings.store import changed, reset_unfinished
from common.errors import ApiError
from common.messages import Text

_PROGRESS_EVERY = 0.5


class LostError(Exception):
    """The meeting is no longer this worker's: cancelled, deleted, or taken over."""


class Record:
    """The record of meeting `meeting_id`, held under the lease named `owner`."""

    def __init__(self, database: Database, meeting_id: str, owner: str) -> None:
        self.meeting_id = meeting_id
        self._database = database
        self._owner = owner
        self._last_progress: dict[str, float] = {}

    def is_mine(self) -> bool:
        """False once the meeting was cancelled, deleted or taken over."""
        query = select(Meeting.state, Meeting.owner).where(Meeting.id == self.meeting_id)
        with self._database.read() as session:
            row = session.execute(query).one_or_none()
        return row is not None and row[0] == RUNNING and row[1] == self._owner

    def release(self) -> None:
        """Give the meeting back to the queue, as it stands."""
        self._end(QUEUED, None)

    def finish(self, error: ApiError | None = None) -> None:
        """The meeting is done, or failed with `error`."""
        self._end(FAILED if error else DONE, error)

    def facts(self, *, duration: float | None = None, language: str | None = None) -> None:
        """What a step learnt about the recording."""
        with self._mine() as meeting:
            meeting.duration = duration if duration is not None else meeting.duration
            meeting.language = language or meeting.language

    def language(self) -> str | None:
        with self._database.read() as session:
            return session.scalar(select(Meeting.language).where(Meeting.id == self.meeting_id))

    def speakers(self) -> dict[str, str]:
        """The names that speakers have now."""
        with self._database.read() as session:
            return dict(session.scalar(select(Meeting.speakers).where(Meeting.id == self.meeting_id)) or {})

    def recognised(self, names: Mapping[str, str]) -> None:
        """Name speakers whose voice is known; a name that the person gave stays."""
        with self._mine() as meeting:
            meeting.speakers = dict(names) | meeting.speakers

    def part(self, words: Sequence[HeardWord], through: float) -> None:
        """Keep words that asr has found, so that nobody has to find them again."""
        encoded = json.dumps([[w.word, w.start, w.end] for w in words], ensure_ascii=False, separators=(",", ":"))
        with self._session() as (session, _meeting):
            last = session.scalar(select(func.max(Part.position)).where(Part.meeting_id == self.meeting_id))
            position = 0 if last is None else last + 1
            session.add(Part(meeting_id=self.meeting_id, position=position, through=through, words=encoded))

    def through(self) -> float:
        """The second of the recording up to which words are kept."""
        query = select(func.max(Part.through)).where(Part.meeting_id == self.meeting_id)
        with self._database.read() as session:
            return session.scalar(query) or 0.0

    def parts(self) -> tuple[list[HeardWord], float]:
        """The words kept so far, and the second of the recording from which to go on."""
        query = select(Part).where(Part.meeting_id == self.meeting_id).order_by(Part.position)
        words: list[HeardWord] = []
        through = 0.0
        with self._database.read() as session:
            for part in session.scalars(query):
                words += [HeardWord(word=word, start=start, end=end) for word, start, end in json.loads(part.words)]
                through = part.through
        return words, through

    def running(self, name: str) -> None:
        with self._step(name) as step:
            step.state, step.error = RUNNING, None

    def progress(self, name: str, advance: Advance) -> None:
        """Record how far the step is, at most twice a second."""
        now = time.monotonic()
        if now - self._last_progress.get(name, 0.0) < _PROGRESS_EVERY:
            return
        self._last_progress[name] = now
        with self._step(name) as step:
            step.progress = max(0.0, min(1.0, advance.share))
            step.seconds_done, step.seconds_total, step.rate = advance.done, advance.total, advance.rate

    def waiting(self, name: str, reason: ApiError) -> None:
        with self._step(name) as step:
            step.state, step.rate, step.error = WAITING, None, pack_error(reason)

    def done(
        self, name: str, result: Any, *, seconds: float, model: str | None = None, warnings: Iterable[Text | str] = ()
    ) -> None:
        """Record what the step found: a restart will not do it again."""
        encoded = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
        with self._session() as (session, meeting):
            step = meeting.step(name)
            step.state, step.progress, step.error = DONE, 1.0, None
            step.seconds_done = step.seconds_total
            step.seconds, step.model, step.result = round(seconds, 3), model, encoded
            step.warnings = [pack(warning) for warning in warnings]
            if name == "asr":
                session.execute(delete(Part).where(Part.meeting_id == self.meeting_id))
            changed(meeting)

    def failed(self, name: str, error: ApiError, *, seconds: float, warning: Text | None = None) -> None:
        with self._step(name) as step:
            step.state, step.error, step.seconds = FAILED, pack_error(error), round(seconds, 3)
            step.warnings = [pack(warning)] if warning else []

    def _end(self, state: str, error: ApiError | None) -> None:
        with self._mine() as meeting:
            reset_unfinished(meeting)
            meeting.state, meeting.error = state, pack_error(error) if error else None
            meeting.owner = meeting.lease_until = None

    @contextmanager
    def _session(self) -> Iterator[tuple[Session, Meeting]]:
        """A transaction on the meeting, as long as it is this worker's."""
        with self._database.write() as session:
            meeting = session.get(Meeting, self.meeting_id, with_for_update=True)
            if meeting is None or meeting.state != RUNNING or meeting.owner != self._owner:
                raise LostError(self.meeting_id)
            yield session, meeting

    @contextmanager
    def _mine(self) -> Iterator[Meeting]:
        """The same, for a change that readers can see."""
        with self._session() as (_session, meeting):
            yield meeting
            changed(meeting)

    @contextmanager
    def _step(self, name: str) -> Iterator[Step]:
        with self._mine() as meeting:
            yield meeting.step(name)
