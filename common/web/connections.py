"""Connections to other services that can be cancelled, or given up, while they wait for an answer to begin."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import urllib3
from urllib3.util.wait import wait_for_read

from common.web.wire import Answer, Wire


class Cancellation:
    """A way to end, from another thread, the call that is being made under it: ``with cancellation.covers(): …``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: Any = None
        self.cancelled = False

    def cancel(self) -> None:
        """End the call, at once, even while its answer has not begun; the peer sees its caller leave."""
        with self._lock:
            self.cancelled = True
            self._shut_down()

    def hold(self, sock: Any) -> None:
        """The call now waits on `sock` (None: on nothing)."""
        with self._lock:
            self._socket = sock
            if self.cancelled:
                self._shut_down()

    @contextlib.contextmanager
    def covers(self) -> Iterator[None]:
        token = _covering.set(self)
        try:
            yield
        finally:
            _covering.reset(token)
            self.hold(None)  # the connection may now serve another call

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class Watch:
    """Asks every `seconds` whether it is worth waiting on for the answer to a call; gives it up when it is not."""

    def __init__(self, seconds: float, read_timeout: float, hung: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._read_timeout = read_timeout
        self._hung = hung

    @contextlib.contextmanager
    def over(self) -> Iterator[None]:
        token = _watching.set(self)
        try:
            yield
        finally:
            _watching.reset(token)

    def wait(self, sock: Any) -> None:
        deadline = time.monotonic() + self._read_timeout
        while not wait_for_read(sock, timeout=self._seconds):
            if time.monotonic() >= deadline:
                raise TimeoutError("timed out")
            if self._hung():
                raise ConnectionAbortedError("the host does not answer any more")


_covering: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)
_watching: ContextVar[Watch | None] = ContextVar("watch", default=None)


def cancelled() -> bool:
    """Whether the call being made was cancelled."""
    cancellation = _covering.get()
    return cancellation is not None and cancellation.cancelled


@contextlib.contextmanager
def on_its_own() -> Iterator[None]:
    """For a call made while another one waits: neither its cancellation nor its watch is this one's."""
    covering, watching = _covering.set(None), _watching.set(None)
    try:
        yield
    finally:
        _covering.reset(covering)
        _watching.reset(watching)


def _before_response(sock: Any) -> None:
    if (cancellation := _covering.get()) is not None:
        cancellation.hold(sock)
    if (watch := _watching.get()) is not None:
        watch.wait(sock)


class _SecureConnection(urllib3.connection.HTTPSConnection):
    def getresponse(self) -> Any:
        _before_response(self.sock)
        return super().getresponse()


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Pool:
    """Connections to services: our own client where the address is in clear, urllib3 under TLS."""

    def __init__(self) -> None:
        self._wires: dict[str, Wire] = {}
        self._secure = urllib3.PoolManager(num_pools=8, maxsize=64, block=False, retries=False)
        self._secure.pool_classes_by_scheme = {"https": _SecurePool}

    def request(
        self,
        method: str,
        url: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None = None,
        connect_timeout: float,
        read_timeout: float,
    ) -> Answer | urllib3.BaseHTTPResponse:
        """The answer of `url` to `method path` once it has begun, not read. No redirect is followed."""
        if url.startswith("http://"):
            wire = self._wires.get(url) or self._wires.setdefault(url, Wire(url))
            limits = {"connect_timeout": connect_timeout, "read_timeout": read_timeout}
            return wire.request(method, path, headers, body, before=_before_response, **limits)
        return self._secure.request(
            method,
            url + path,
            body=body,
            headers=headers,
            preload_content=False,
            decode_content=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=connect_timeout, read=read_timeout),
        )
