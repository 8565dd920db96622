"""gunicorn's gevent worker, as app and chat need it: connections shared out evenly, answers begun by one write."""

from __future__ import annotations

from functools import partial
from typing import Any

from gevent.server import StreamServer
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers.ggevent import GeventWorker

SECONDS_PER_CONNECTION = 0.0001
MOST_SECONDS = 0.005


class _EvenServer(StreamServer):  # type: ignore[misc]  # without types
    """Leaves the next connection to the other workers for a moment, the longer the more of them this one has.

    Else a worker that is awake takes all those that come at once, and keeps them while the other one sleeps. It then
    takes half as many as it has, so that many who come at once do not wait for as many turns of its loop.
    """

    max_accept = 1

    def do_handle(self, *args: Any) -> None:
        super().do_handle(*args)
        self.stop_accepting()
        busy = self.pool.size - self.pool.free_count()
        self.max_accept = 1 + busy // 2
        self._timer = self.loop.timer(min(MOST_SECONDS, busy * SECONDS_PER_CONNECTION))
        self._timer.start(self._start_accepting_if_started)


class _Response(wsgi.Response):  # type: ignore[misc]  # without types
    """Sends the headers along with the first bytes of the body: whoever reads them is woken once and not twice.

    gunicorn sends headers when it has the first bytes of the body, so that nobody waits longer for them.
    """

    _head = b""
    headers_sent: bool

    def send_headers(self) -> None:
        if not self.headers_sent:
            lines = self.default_headers() + [f"{name}: {value}\r\n" for name, value in self.headers]
            self._head = f"{''.join(lines)}\r\n".encode("latin-1")
            self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        self._flush(b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def write(self, arg: bytes) -> None:
        super().write(arg)
        if self._head and not arg:
            self._flush()  # an empty piece is how an application asks for its headers to go

    def sendfile(self, respiter: Any) -> bool:
        self.send_headers()
        self._flush()
        return bool(super().sendfile(respiter))

    def close(self) -> None:
        self.send_headers()
        self._flush(b"0\r\n\r\n" if self.chunked else b"")

    def _flush(self, data: bytes = b"") -> None:
        head, self._head = self._head, b""
        if head or data:
            util.write(self.sock, head + data)


class GatewayWorker(GeventWorker):  # type: ignore[misc]  # without types
    """The worker class of `common.web.gunicorn_conf`."""

    def init_process(self) -> None:
        wsgi.Response = _Response  # what `wsgi.create` makes, for which gunicorn has no setting
        super().init_process()

    def server_class(self, listener: Any, *, spawn: Any, **given: Any) -> StreamServer:
        """Asked for by `run`, for each listening socket."""
        tls = {"ssl_context": given["ssl_context"]} if "ssl_context" in given else {}
        return _EvenServer(listener, handle=partial(self.handle, listener), spawn=spawn, **tls)
