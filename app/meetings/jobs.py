"""The queue of meetings, and the worker that empties it.

Huey carries the wish to work on a meeting; the database says what there is to do. A task that is lost with a killed
worker, or that was never queued because app died before it could, is found again in the database (`rescue`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huey import Huey, RedisHuey, SqliteHuey

from app.database import Database
from app.meetings.leases import Leases
from app.meetings.record import LostError, Record
from app.meetings.steps import Work
from app.peers import Peers
from app.settings import AppSettings
from common.errors import ApiError
from common.messages import _

_log = logging.getLogger("frigo.meetings")
_TASK = "work_on_meeting"


def make_huey(settings: AppSettings) -> Huey:
    """Huey on Redis when REDIS_URL is set, else on SQLite in DATA_DIR."""
    if settings.redis_url:
        return RedisHuey("frigo", url=settings.redis_url, results=False)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path: Path = settings.data_dir / "huey.db"
    return SqliteHuey("frigo", filename=str(path), results=False, timeout=15, strict_fifo=True)


class MeetingQueue:
    """Meetings waiting for a worker."""

    def __init__(self, huey: Huey, work: Callable[[str], None] | None = None) -> None:
        self.huey = huey

        def work_on_meeting(meeting_id: str) -> None:
            if work is None:
                raise RuntimeError("this process only fills the queue")
            work(meeting_id)

        self._task: Any = huey.task(name=_TASK)(work_on_meeting)

    def put(self, meeting_id: str) -> None:
        """Wake a worker for this meeting. Two wishes for one meeting are harmless: its lease is taken once."""
        self._task(meeting_id)

    def waiting(self) -> set[str]:
        """Ids of the meetings in the queue."""
        return {task.args[0] for task in self.huey.pending() if task.args}


class MeetingWorker:
    """Works on meetings, keeps its leases alive, and finds what was left behind."""

    def __init__(self, database: Database, peers: Peers, settings: AppSettings, huey: Huey) -> None:
        self.leases = Leases(database, settings.uploads_dir)
        self.queue = MeetingQueue(huey, self.work)
        self.stop = threading.Event()
        self._database = database
        self._peers = peers
        self._peer_wait = settings.meeting_peer_wait_s

    def work(self, meeting_id: str) -> None:
        """Take the meeting and do it to its end; nothing happens when it is not to be taken."""
        if self.stop.is_set():
            return
        job = self.leases.take(meeting_id)
        if job is None:
            return
        _log.info("meeting taken", extra={"meeting": meeting_id, "already_done": sorted(job.done)})
        record = Record(self._database, meeting_id, job.owner)
        try:
            Work(job, record, self._peers, peer_wait=self._peer_wait, stop=self.stop).run()
        except LostError:
            _log.info("meeting given up", extra={"meeting": meeting_id})
        except Exception:
            _log.exception("bug in a meeting", extra={"meeting": meeting_id})
            self._fail(record)
            raise
        _log.info("meeting left", extra={"meeting": meeting_id})

    def rescue(self) -> list[str]:
        """Queue the meetings that nobody works on and that are not in the queue. Returns their ids."""
        orphans = self.leases.orphans()
        if not orphans:
            return []
        waiting = self.queue.waiting()
        found = [meeting_id for meeting_id in orphans if meeting_id not in waiting]
        for meeting_id in found:
            _log.info("meeting found again", extra={"meeting": meeting_id})
            self.queue.put(meeting_id)
        return found

    def _fail(self, record: Record) -> None:
        try:
            record.finish(ApiError(500, "internal_error", _("Erreur interne : le journal du worker la décrit.")))
        except LostError:
            return
