"""The worker of meetings: ``python -m app.worker``.

A Huey consumer with MEETING_WORKERS threads. A first signal gives the meetings under way back to the queue, as they
stand, and stops; a killed worker's meetings are found again in the database by the next one. It also looks now and then
whether every service knows the hub's token.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from huey.consumer import Consumer
from sqlalchemy.exc import SQLAlchemyError

from app.admin.hub_token import LOOK_SECONDS, HubTokenDesk
from app.database import Database, migrate
from app.meetings import uploads
from app.meetings.jobs import MeetingWorker, make_huey
from app.peers import connect
from app.settings import AppSettings
from common.settings import load_or_exit
from common.web import logs

BEAT_SECONDS = 3.0
_log = logging.getLogger("frigo.meetings")


class _Consumer(Consumer):  # type: ignore[misc]  # huey ships no types
    """A consumer that tells the meetings under way to stop as soon as it is told itself."""

    def __init__(self, worker: MeetingWorker, **options: Any) -> None:
        self._worker = worker
        super().__init__(worker.queue.huey, **options)

    def stop(self, graceful: bool = False) -> None:  # noqa: ARG002  both signals mean the same to a meeting
        self._worker.stop.set()
        super().stop(graceful=True)


def beat(worker: MeetingWorker) -> None:
    """Keep the leases alive and look for meetings left behind, until the worker stops."""
    while not worker.stop.wait(BEAT_SECONDS):
        try:
            worker.leases.renew()
            worker.rescue()
        except (SQLAlchemyError, OSError):
            _log.warning("the database or the queue does not answer", exc_info=True)


def repeat(tokens: HubTokenDesk, stop: threading.Event) -> None:
    """Tell the hub's token to the services that came back without it, until `stop`."""
    while True:
        tokens.spread()
        if stop.wait(LOOK_SECONDS):
            return


def main() -> int:
    settings = load_or_exit(AppSettings)
    logs.configure("worker", settings.log_level, settings.log_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(settings.database, settings.data_dir)
    database = Database(settings.database)
    peers = connect(settings)
    worker = MeetingWorker(database, peers, settings, make_huey(settings))
    uploads.sweep(settings.uploads_dir, worker.leases.recordings())
    worker.rescue()
    threading.Thread(target=beat, args=(worker,), name="beat", daemon=True).start()
    tokens = HubTokenDesk(settings, peers)
    threading.Thread(target=repeat, args=(tokens, worker.stop), name="hub-token", daemon=True).start()
    _log.info("worker ready", extra={"workers": settings.meeting_workers})
    consumer = _Consumer(
        worker,
        workers=settings.meeting_workers,
        worker_type="thread",
        periodic=False,
        max_delay=1.0,
        shutdown_timeout=8,
    )
    consumer.run()
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
