"""Which worker is on which meeting: leases, so that a killed worker's meetings go on elsewhere.

A worker process renews its leases while it lives. What it leaves behind when it is killed is taken at once by a
worker of the same machine, which can see that the process is gone, and after `LEASE` by any other.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import select, update
from sqlalchemy.orm import undefer

from app.database import Database, utc_now
from app.meetings.models import DONE, QUEUED, RUNNING, Meeting, Step
from app.meetings.store import changed, reset_unfinished

LEASE = timedelta(seconds=15)


@cache
def _here() -> str:
    """This machine since its last boot, and the process ids' namespace: together they make a pid mean something."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}.{Path('/proc/self/ns/pid').readlink().name}"
    except OSError:
        return f"{os.uname().nodename}.{int(psutil.boot_time())}"


def this_process() -> str:
    """The name of this process: machine, pid, and when it began (pids are used again)."""
    return f"{_here()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def is_gone(owner: str) -> bool:
    """True when `owner` was a process of this machine that lives no more; False when that cannot be known."""
    here, pid, born, *_rest = [*owner.split("/"), "", ""]
    if here != _here() or not pid.isdigit():
        return False
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != born or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@dataclass(frozen=True)
class Job:
    """A meeting that was just taken, and what a worker needs to know of it."""

    id: str
    owner: str
    recording: Path
    file_name: str
    language_asked: str | None
    num_speakers: int | None
    min_speakers: int | None
    max_speakers: int | None
    messages_language: str
    done: dict[str, Any]
    """Results of the steps that are already done."""


class Leases:
    """The leases of one worker process."""

    def __init__(self, database: Database, uploads: Path) -> None:
        self.database = database
        self.uploads = uploads
        self.process = this_process()

    def orphans(self) -> list[str]:
        """Meetings to be worked on that no living worker owns, oldest first."""
        query = select(Meeting.id, Meeting.owner, Meeting.lease_until).where(Meeting.state.in_((QUEUED, RUNNING)))
        with self.database.read() as session:
            rows = session.execute(query.order_by(Meeting.created_at)).all()
        return [meeting_id for meeting_id, owner, lease in rows if _free(owner, lease)]

    def recordings(self) -> set[str]:
        """Names of the recordings that belong to a meeting."""
        with self.database.read() as session:
            return set(session.scalars(select(Meeting.stored_name)))

    def take(self, meeting_id: str) -> Job | None:
        """Lease the meeting, or None when there is nothing to do or another worker is on it."""
        owner = f"{self.process}/{uuid.uuid4().hex[:8]}"
        with self.database.write() as session:
            meeting = session.get(Meeting, meeting_id, with_for_update=True)
            if (
                meeting is None
                or meeting.state not in (QUEUED, RUNNING)
                or not _free(meeting.owner, meeting.lease_until)
            ):
                return None
            reset_unfinished(meeting)
            meeting.state, meeting.owner, meeting.lease_until = RUNNING, owner, utc_now() + LEASE
            changed(meeting)
            done = select(Step).where(Step.meeting_id == meeting_id, Step.state == DONE).options(undefer(Step.result))
            return Job(
                id=meeting.id,
                owner=owner,
                recording=self.uploads / meeting.stored_name,
                file_name=meeting.file_name,
                language_asked=meeting.language_asked,
                num_speakers=meeting.num_speakers,
                min_speakers=meeting.min_speakers,
                max_speakers=meeting.max_speakers,
                messages_language=meeting.messages_language,
                done={step.name: json.loads(step.result or "null") for step in session.scalars(done)},
            )

    def renew(self) -> None:
        """Make the leases of this process last a while longer."""
        mine = update(Meeting).where(Meeting.owner.startswith(f"{self.process}/"), Meeting.state == RUNNING)
        with self.database.write() as session:
            session.execute(mine.values(lease_until=utc_now() + LEASE))


def _free(owner: str | None, lease_until: datetime | None) -> bool:
    return owner is None or lease_until is None or lease_until < utc_now() or is_gone(owner)
