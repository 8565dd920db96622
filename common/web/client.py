"""Calls from one service to another: pooled, bounded in time, traced by X-Request-ID, retried only when safe.

A GET is tried again, and so is, at another address, what its caller says may be done `again`; anything else only when
the peer refused the connection, so that nothing is done twice. Once an answer has begun it is asked for nowhere else.
A peer that does not answer is left alone for a while: callers then fail at once instead of queueing.
"""

from __future__ import annotations

import contextlib
import json as jsonlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any
from urllib.parse import urlencode

from pydantic import SecretStr
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.auth import SERVICE_TOKEN_HEADER
from common.web.connections import Cancellation, Pool, Watch, on_its_own
from common.web.multipart import BLOCK_BYTES, Multipart, Part
from common.web.replicas import Replica, Replicas
from common.web.wire import Answer

__all__ = ["Body", "Cancellation", "Peer", "PeerResponse", "PeerStream", "unavailable"]
GET_TRIES = 2
LOOK_SECONDS = 5.0
LOOKS = 2
"""Of a call that may be made elsewhere: how often its host's /health is asked, and may fail in a row."""
PROBE_TIMEOUT = 5.0
"""A call that gives itself no more time is a probe: it does not wait for a host that sleeps."""
_REFUSED = (NewConnectionError, ConnectTimeoutError)
_TURNED_AWAY = {502, 503, 504}

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

    def __init__(
        self, service: str, response: Answer | BaseHTTPResponse, ended: Callable[[bool], None] = lambda _broken: None
    ) -> None:
        """`ended` is told the end, and whether the peer broke the answer."""
        self.service = service
        self._response = response
        self._ended = ended
        self._closed = False
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    def __iter__(self) -> Iterator[bytes]:
        """Chunks as they arrive. A connection that breaks, or is closed meanwhile, raises `ApiError` 502."""
        try:
            while chunk := self._response.read1():
                yield chunk
            self._ended(False)
        except HTTPError as error:
            self._ended(not self._closed)
            raise _broken(self.service) from error
        except (AttributeError, OSError, ValueError) as error:
            if not self._closed:
                raise
            raise _broken(self.service) from error  # its socket was closed under a thread that read

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
        self._ended(False)

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


class _Upload:
    """A body that can be sent once, and knows whether that has begun."""

    def __init__(self, body: IO[bytes] | Iterable[bytes]) -> None:
        self._body = body
        self.begun = False

    def __iter__(self) -> Iterator[bytes]:
        self.begun = True
        read = getattr(self._body, "read", None)
        if read is None:
            yield from self._body
            return
        while block := read(BLOCK_BYTES):  # a file's own iteration is by lines
            yield block


class Peer:
    """Another service, at one or several addresses (comma-separated replicas)."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        service_token: SecretStr | None = None,
        connect_timeout: float = 3.0,
        read_timeout: float = 600.0,
        wake_seconds: float | None = None,
    ) -> None:
        self.name = name
        self.urls = [part.strip().rstrip("/") for part in url.split(",") if part.strip()]
        self._token = service_token
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._pool = Pool()
        self._replicas = Replicas(self.urls, self._healthy, wake_seconds)

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
        again: bool = False,
    ) -> PeerResponse:
        """Send and read the whole answer. Raises `ApiError` 503 `peer_unavailable` when nobody answers."""
        with self.stream(
            method,
            path,
            json=json,
            body=body,
            headers=headers,
            fields=fields,
            query=query,
            timeout=timeout,
            again=again,
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
        again: bool = False,
    ) -> PeerStream:
        """Send, and hand the answer over as soon as its headers are there. `timeout`: seconds between two reads.

        `again`: doing it twice changes nothing (a generation), so that another address may be asked when one fails
        before its answer begins.
        """
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
        if body is not None and not isinstance(body, bytes):
            body = _Upload(body)
        call = _Call(method, path, body, sent, timeout or self._read_timeout, again=again or method == "GET")
        patient = (timeout is None or timeout > PROBE_TIMEOUT) and bool(self._replicas.asleep())
        if patient and not call.repeatable and not any(one.awake for one in self._replicas.all):
            self._replicas.wake()  # what cannot be sent twice had better find its host awake
        answer = self._ask(call)
        if patient and call.fresh and (answer is None or (call.repeatable and _from_a_proxy(answer))):
            if answer is not None:
                answer.close()
            answer = self._ask(call) if self._replicas.wake() else None
        if answer is None:
            raise unavailable(self.name)
        return answer

    def _ask(self, call: _Call) -> PeerStream | None:
        """The first answer that is one, else the last that turned the call away; None when nobody answers.

        Raises `ApiError` 502 when an answer was broken off and the call can be made nowhere else.
        """
        turned_away: PeerStream | None = None
        broken: Exception | None = None
        for _attempt in range(GET_TRIES if call.method == "GET" else 1):
            candidates = self._replicas.in_order()
            for place, replica in enumerate(candidates):
                try:
                    answer = self._send(replica, call, others=len(candidates) > place + 1)
                except _REFUSED:
                    self._replicas.failed(replica, leave_alone=True)
                    if not call.fresh:  # part of the body was read
                        return None
                    continue
                except (HTTPError, OSError) as error:
                    self._replicas.failed(replica, leave_alone=False)
                    broken = error
                    if not call.repeatable:
                        break
                    continue
                if turned_away is not None:
                    turned_away.close()
                if answer.status not in _TURNED_AWAY or not call.repeatable:
                    return answer
                self._replicas.failed(replica, leave_alone=False)
                turned_away = answer
            if turned_away is not None:
                return turned_away
        if isinstance(broken, ReadTimeoutError | ProtocolError) and call.method != "GET":
            raise _broken(self.name) from broken
        return None

    def _send(self, replica: Replica, call: _Call, *, others: bool) -> PeerStream:
        end = self._replicas.began(replica)

        def ended(broken: bool) -> None:
            end()
            if broken:
                self._replicas.failed(replica, leave_alone=False)

        try:
            with (
                self._watch(replica, call).over() if others and call.again and call.fresh else contextlib.nullcontext()
            ):
                response = self._pool.request(
                    call.method,
                    replica.url,
                    call.path,
                    body=call.body,
                    headers=call.headers,
                    connect_timeout=self._connect_timeout,
                    read_timeout=call.timeout,
                )
        except BaseException:
            end()
            raise
        if response.status not in _TURNED_AWAY:
            self._replicas.answered(replica)
        return PeerStream(self.name, response, ended)

    def _watch(self, replica: Replica, call: _Call) -> Watch:
        looks: list[bool] = []

        def hung() -> bool:
            looks.append(self._replicas.hung(replica))
            return len(looks) >= LOOKS and all(looks[-LOOKS:])

        return Watch(LOOK_SECONDS, call.timeout, hung)

    def _healthy(self, url: str, seconds: float) -> bool | None:
        try:
            with on_its_own():
                connect_timeout = min(seconds, self._connect_timeout)
                answer = self._pool.request(
                    "GET", url, "/health", headers={}, connect_timeout=connect_timeout, read_timeout=seconds
                )
                try:
                    while answer.read1():
                        pass
                finally:
                    answer.close()
                return answer.status == 200
        except NameResolutionError:
            return None
        except (HTTPError, OSError):
            return False

    def _headers(self, given: Mapping[str, str] | None) -> dict[str, str]:
        headers = {"Accept-Language": context.language.get()}
        if current := context.request_id.get():
            headers["X-Request-ID"] = current
        if self._token is not None:
            headers[SERVICE_TOKEN_HEADER] = self._token.get_secret_value()
        return headers | dict(given or {})


@dataclass(frozen=True)
class _Call:
    method: str
    path: str
    body: bytes | _Upload | None
    headers: dict[str, str]
    timeout: float
    again: bool

    @property
    def repeatable(self) -> bool:
        """Whether it may be made a second time, and can."""
        return self.again and not isinstance(self.body, _Upload)

    @property
    def fresh(self) -> bool:
        """Whether all of its body can still be sent."""
        return not (isinstance(self.body, _Upload) and self.body.begun)


def _from_a_proxy(answer: PeerStream) -> bool:
    """Whether it was not the service that turned the call away: ours sign their answers, and speak JSON."""
    signed = "X-Request-ID" in answer.headers or answer.headers.get("Content-Type", "").startswith("application/json")
    return answer.status in _TURNED_AWAY and not signed
