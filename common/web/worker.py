"""gunicorn's gevent worker, as app and chat need it: connections shared out evenly between workers."""

from __future__ import annotations

from functools import partial
from typing import Any

from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

SECONDS_PER_CONNECTION = 0.0001
MOST_SECONDS = 0.005


class _EvenServer(StreamServer):  # type: ignore[misc]  # without types
    """Leaves the next connection to the other workers for a moment, the longer the more of them this one has.

    Else a worker that is awake takes all those that come at once, and keeps them while the other one sleeps.
    """

    max_accept = 1

    def do_handle(self, *args: Any) -> None:
        super().do_handle(*args)
        self.stop_accepting()
        busy = self.pool.size - self.pool.free_count()
        self._timer = self.loop.timer(min(MOST_SECONDS, busy * SECONDS_PER_CONNECTION))
        self._timer.start(self._start_accepting_if_started)


class GatewayWorker(GeventWorker):  # type: ignore[misc]  # without types
    """The worker class of `common.web.gunicorn_conf`."""

    def server_class(self, listener: Any, *, spawn: Any, **given: Any) -> StreamServer:
        """Asked for by `run`, for each listening socket."""
        tls = {"ssl_context": given["ssl_context"]} if "ssl_context" in given else {}
        return _EvenServer(listener, handle=partial(self.handle, listener), spawn=spawn, **tls)
