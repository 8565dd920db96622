"""The page and its worker in one container: ``python -m app``.

gunicorn and ``app.worker`` are two processes that live and stop together: a worker that dies is started again, the end
of gunicorn is the end of both. Two replicas of the container share a queue, so each may have a worker of its own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from types import FrameType

from app.addresses import announce
from app.settings import AppSettings
from common.settings import load_or_exit
from common.web import logs

GUNICORN = ("gunicorn", "-c", "python:common.web.gunicorn_conf", "app.wsgi:app")
WORKER = (sys.executable, "-m", "app.worker")
STOP_SECONDS = 9.0  # Docker kills after ten
REFUSED = 4  # a wrong variable: starting again would not help
_PAUSE_S = 1.0


class Pair:
    """The two processes."""

    def __init__(self) -> None:
        self.stopping = False
        self.web = subprocess.Popen(GUNICORN)
        self.worker = subprocess.Popen(WORKER)

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Tell both to end what they do."""
        self.stopping = True
        for process in (self.web, self.worker):
            if process.poll() is None:
                process.terminate()

    def run(self) -> int:
        """Until gunicorn ends, or the worker refuses its settings. Gives the exit status."""
        while not self.stopping:
            try:
                status = self.web.wait(_PAUSE_S)
                self.stop()
                self._end()
                return status
            except subprocess.TimeoutExpired:
                pass
            if self.stopping or self.worker.poll() is None:
                continue
            if self.worker.returncode == REFUSED:
                self.stop()
                self._end()
                return REFUSED
            self.worker = subprocess.Popen(WORKER)
        self._end()
        return self.web.returncode

    def _end(self) -> None:
        until = time.monotonic() + STOP_SECONDS
        for process in (self.web, self.worker):
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> int:
    settings = load_or_exit(AppSettings)
    logs.configure("app", settings.log_level, settings.log_dir)
    announce(settings)
    pair = Pair()
    signal.signal(signal.SIGTERM, pair.stop)
    signal.signal(signal.SIGINT, pair.stop)
    return pair.run()


if __name__ == "__main__":
    sys.exit(main())
