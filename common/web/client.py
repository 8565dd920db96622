"""Calls from one service to another: pooled, bounded in time, traced by X-Request-ID, retried only when safe.

A GET is tried again; anything else only when the peer refused the connection, so that nothing is done twice.
A peer that does not answer is left alone for `COOL_DOWN_SECONDS`: callers then fail at once instead of queueing.
"""

from __future__ import annotations

import contextlib
import json as jsonlib
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import IO, Any
from urllib.parse import urlencode

import urllib3
from pydantic import SecretStr
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.auth import SERVICE_TOKEN_HEADER
from common.web.multipart import Multipart, Part

COOL_DOWN_SECONDS = 2.0
GET_TRIES = 2
_REFUSED = (NewConnectionError, ConnectTimeoutError)

Body = bytes | IO[bytes] | Iterable[bytes]


def _error_of(status: int, data: bytes, service: str) -> ApiError:
    """The peer's own error when it speaks ours, else one that says what it answered."""
    try:
        error = jsonlib.loads(data)["error"]
        known = {"message", "type", "param", "code"}
        extra = {key: value for key, value in error.items() if key not in known}
        return ApiError(status, str(error["code"]), str(error["message"]), error.get("param"), extra=extra)
    except (ValueError, KeyError, TypeError, AttributeError):
        message = _("Le service %(service)s a répondu %(status)s.", service=service, status=status)
        return ApiError(502, "peer_error", message, extra={"service": service})


class PeerResponse:
    """A whole answer of a peer."""

    def __init__(self, service: str, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.service = service
        self.status = status
        self.headers = headers
        self.data = data

    def json(self) -> Any:
        """The decoded JSON body; 502 when it is none."""
        try:
            return jsonlib.loads(self.data)
        except ValueError as error:
            raise _error_of(502, b"", self.service) from error

    def raise_for_status(self) -> PeerResponse:
        """Raise the peer's error as ours when the status is one."""
        if self.status >= 400:
            error = _error_of(self.status, self.data, self.service)
            if retry_after := self.headers.get("Retry-After"):
                error.headers["Retry-After"] = retry_after
            raise error
        return self


class PeerStream:
    """An answer read as it comes. Close it (or leave its ``with``) to make the peer stop."""

    def __init__(self, service: str, response: urllib3.BaseHTTPResponse) -> None:
        self.service = service
        self._response = response
        self._closed = False
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    def __iter__(self) -> Iterator[bytes]:
        """Chunks as they arrive. A connection that breaks, or is closed meanwhile, raises `ApiError` 502."""
        try:
            while chunk := self._response.read1():
                yield chunk
        except HTTPError as error:
            raise _broken(self.service) from error
        except (AttributeError, OSError, ValueError) as error:
            if not self._closed:
                raise
            raise _broken(self.service) from error  # http.client lost its file under a thread that was reading

    def read(self) -> PeerResponse:
        """Read what is left, as a `PeerResponse`."""
        return PeerResponse(self.service, self.status, self.headers, b"".join(self))

    def events(self) -> Iterator[tuple[str, str]]:
        """Server-sent events as (name, data); pings are left out."""
        buffer = b""
        for chunk in self:
            buffer += chunk.replace(b"\r\n", b"\n")
            while b"\n\n" in buffer:
                block, buffer = buffer.split(b"\n\n", 1)
                name, data = "message", []
                for line in block.decode("utf-8", "replace").split("\n"):
                    if line.startswith("event:"):
                        name = line[6:].strip()
                    elif line.startswith("data:"):
                        data.append(line[5:].removeprefix(" "))
                if data:
                    yield name, "\n".join(data)

    def close(self) -> None:
        """Drop the connection, from any thread; the peer sees its reader leave."""
        self._closed = True
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()  # wakes a thread that is reading, which `close` would wait for
        self._response.close()

    def __enter__(self) -> PeerStream:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


def unavailable(service: str) -> ApiError:
    """The 503 that names the service that does not answer."""
    message = _("Le service %(service)s ne répond pas ; réessayez dans quelques secondes.", service=service)
    return ApiError(503, "peer_unavailable", message, headers={"Retry-After": "3"}, extra={"service": service})


def _broken(service: str) -> ApiError:
    message = _("Le service %(service)s a coupé sa réponse.", service=service)
    return ApiError(502, "peer_broken", message, extra={"service": service})


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


_covering: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


class _Connection(urllib3.connection.HTTPConnection):
    """Tells the `Cancellation` that covers the call on which socket it waits."""

    def getresponse(self) -> Any:
        if (cancellation := _covering.get()) is not None:
            cancellation.hold(self.sock)
        return super().getresponse()


class _SecureConnection(urllib3.connection.HTTPSConnection):
    def getresponse(self) -> Any:
        if (cancellation := _covering.get()) is not None:
            cancellation.hold(self.sock)
        return super().getresponse()


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Peer:
    """Another service, at one or several addresses (comma-separated replicas, tried in turn)."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        service_token: SecretStr | None = None,
        connect_timeout: float = 3.0,
        read_timeout: float = 600.0,
    ) -> None:
        self.name = name
        self.urls = [part.strip().rstrip("/") for part in url.split(",") if part.strip()]
        self._token = service_token
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._pool = urllib3.PoolManager(num_pools=8, maxsize=64, block=False, retries=False)
        self._pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        self._dead_until: dict[str, float] = {}
        self._next = 0
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, Part] | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> PeerResponse:
        """Send and read the whole answer. Raises `ApiError` 503 `peer_unavailable` when nobody answers."""
        with self.stream(
            method, path, json=json, body=body, headers=headers, fields=fields, query=query, timeout=timeout
        ) as stream:
            return stream.read()

    def stream(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, Part] | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> PeerStream:
        """Send, and hand the answer over as soon as its headers are there. `timeout`: seconds between two reads."""
        sent = self._headers(headers)
        if json is not None:
            body = jsonlib.dumps(json, ensure_ascii=False).encode()
            sent["Content-Type"] = "application/json"
        elif fields is not None:
            multipart = Multipart(fields)
            body = multipart
            sent["Content-Type"] = multipart.content_type
            sent["Content-Length"] = str(multipart.length)
        if query:
            path = f"{path}?{urlencode(query)}"
        replayable = body is None or isinstance(body, bytes)
        tries = GET_TRIES if method == "GET" else 1
        for _attempt in range(tries):
            for url in self._candidates():
                try:
                    return self._send(method, url + path, body, sent, timeout)
                except _REFUSED:
                    self._mark_dead(url)
                    if not replayable:  # part of the body may have been read
                        break
                except (HTTPError, OSError) as error:
                    if method != "GET":
                        if isinstance(error, ReadTimeoutError | ProtocolError):
                            raise _broken(self.name) from error
                        raise unavailable(self.name) from error
        raise unavailable(self.name)

    def _send(
        self, method: str, url: str, body: Body | None, headers: Mapping[str, str], timeout: float | None
    ) -> PeerStream:
        response = self._pool.request(
            method,
            url,
            body=body,
            headers=headers,
            preload_content=False,
            decode_content=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=self._connect_timeout, read=timeout or self._read_timeout),
        )
        return PeerStream(self.name, response)

    def _headers(self, given: Mapping[str, str] | None) -> dict[str, str]:
        headers = {"Accept-Language": context.language.get()}
        if current := context.request_id.get():
            headers["X-Request-ID"] = current
        if self._token is not None:
            headers[SERVICE_TOKEN_HEADER] = self._token.get_secret_value()
        return headers | dict(given or {})

    def _mark_dead(self, url: str) -> None:
        self._dead_until[url] = time.monotonic() + COOL_DOWN_SECONDS

    def _candidates(self) -> list[str]:
        """The addresses to try, in turn, without those that just refused."""
        with self._lock:
            first = self._next
            self._next = (self._next + 1) % len(self.urls)
        turned = self.urls[first:] + self.urls[:first]
        now = time.monotonic()
        return [url for url in turned if self._dead_until.get(url, 0.0) <= now]
