"""HTTP/1.1 to a service of ours, in clear: what urllib3 does for any server, for a ninth of the CPU.

A gateway makes a call for each call it gets, and urllib3 was the largest part of what that cost. A request is sent in
one write when its body is at hand; what has come of an answer is given at once, whatever number of chunks that is.
Errors are urllib3's own, which also makes the calls in TLS (`common.web.connections`).
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.util import parse_url

KEPT_IDLE = 64
"""Connections kept open to one address while nobody uses them."""
_READ_BYTES = 64 * 1024
_MOST_HEAD_BYTES = 64 * 1024
_MOST_SIZE_LINE = 1024
_JOINED_BYTES = 256 * 1024
_PLAIN = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+(?:\?[A-Za-z0-9_.~=&%+-]*)?", re.ASCII)
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)

Before = Callable[[Any], None]
"""Told the socket on which an answer is about to be waited for."""


class Headers(Mapping[str, str]):
    """An answer's headers, found in any case; `items` gives those that came several times as often."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._first: dict[str, str] = {}
        for name, value in pairs:
            lower = name.lower()
            seen = self._first.get(lower)
            self._first[lower] = value if seen is None else f"{seen}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._first[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._first

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def items(self) -> Any:
        return self._pairs


class Answer:
    """Status and headers at once, the body as it comes. `close` before its end drops the connection."""

    def __init__(self, sock: Any, head_only: bool, give_back: Callable[[Any], None]) -> None:
        """Reads up to the end of the headers."""
        self._sock = sock
        self._give_back = give_back
        self._buffer = b""
        self._reading = False
        self._ended = self._closed = False
        self._chunked = self._crlf = self._trailers = False
        self._left: int | None = None  # of the body, or of a chunk; None: all that comes until the end
        try:
            self._begin(head_only)
        except BaseException:
            self._drop()
            raise

    def _begin(self, head_only: bool) -> None:
        while True:
            head = self._head()
            lines = head.split(b"\r\n")
            status = _STATUS.fullmatch(lines[0])
            if status is None:
                raise ProtocolError("no HTTP answer")
            self.status = int(status[2])
            if self.status >= 200:
                break
        pairs = []
        for line in lines[1:]:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not _NAME.fullmatch(name):
                raise ProtocolError("a header that is none")
            pairs.append((name, value.strip(" \t")))
        self.headers = headers = Headers(pairs)
        connection = headers.get("Connection", "").lower()
        self._kept = status[1] == b"1" and "close" not in connection
        length = headers.get("Content-Length")
        if head_only or self.status in (204, 304):
            self._left = 0
        elif "Transfer-Encoding" in headers:
            if headers["Transfer-Encoding"].lower() != "chunked":
                raise ProtocolError("an unknown transfer encoding")
            self._chunked, self._left = True, 0
            self._kept = self._kept and length is None
        elif length is not None:
            if not length.isascii() or not length.isdecimal():
                raise ProtocolError("a length that is none")
            self._left = int(length)
        else:
            self._kept = False
        if self._left == 0 and not self._chunked:
            self._end()

    def _head(self) -> bytes:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _MOST_HEAD_BYTES:
                raise ProtocolError("headers without an end")
            self._buffer += self._more()
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return head

    def read1(self) -> bytes:
        """What has come of the body, waiting for some if need be; nothing at its end."""
        if self._ended:
            return b""
        if self._closed:
            raise ProtocolError("the connection was closed")
        self._reading = True
        try:
            while True:
                if data := self._available():
                    return data
                if self._ended:
                    return b""
                if self._left is None and not self._chunked:
                    data = self._receive()
                    if not data:
                        self._end()
                    return data
                self._buffer += self._more()
        finally:
            self._reading = False
            if self._closed:
                self._drop()

    def _available(self) -> bytes:
        buffer = self._buffer
        if self._chunked:
            return self._unframed(buffer) if buffer else b""
        if self._left is None:
            self._buffer = b""
            return buffer
        data, self._buffer = buffer[: self._left], buffer[self._left :]
        self._left -= len(data)
        if not self._left:
            self._end()
        return data

    def _unframed(self, buffer: bytes) -> bytes:
        """The data of all chunks, or parts of one, that `buffer` has."""
        found: list[bytes] = []
        at, left = 0, self._left or 0
        while True:
            if left:
                piece = buffer[at : at + left]
                found.append(piece)
                at += len(piece)
                left -= len(piece)
                if left:
                    break
                self._crlf = True
            if self._crlf:
                if len(buffer) - at < 2:
                    break
                if buffer[at : at + 2] != b"\r\n":
                    raise ProtocolError("a chunk without an end")
                at += 2
                self._crlf = False
            end = buffer.find(b"\r\n", at)
            if end < 0:
                if len(buffer) - at > _MOST_SIZE_LINE:
                    raise ProtocolError("a chunk without a size")
                break
            line, at = buffer[at:end], end + 2
            if self._trailers:
                if line:
                    continue
                self._buffer, self._left = buffer[at:], 0
                self._end()
                return b"".join(found)
            size = line.partition(b";")[0].strip(b" \t")
            if not _SIZE.fullmatch(size):
                raise ProtocolError("a chunk whose size is none")
            left = int(size, 16)
            self._trailers = left == 0
        self._buffer, self._left = buffer[at:], left
        return b"".join(found)

    def _more(self) -> bytes:
        data = self._receive()
        if not data:
            raise ProtocolError("the connection ended before the answer")
        return data

    def _receive(self) -> bytes:
        try:
            data: bytes = self._sock.recv(_READ_BYTES)
        except TimeoutError as error:
            raise _silent() from error
        except OSError as error:
            raise ProtocolError("the connection broke", error) from error
        return data

    def _end(self) -> None:
        """The answer is whole: its connection may serve again."""
        self._ended = True
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if self._kept and not self._buffer and not self._closed:
            self._give_back(sock)
        else:
            sock.close()

    def _drop(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def shutdown(self) -> None:
        """From any thread: wake the one that reads, which then sees the end."""
        sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """From any thread. A thread that reads keeps the descriptor until it has seen the end."""
        self._closed = True
        if not self._reading:
            self._drop()
        else:
            self.shutdown()


class Wire:
    """Connections to one address, ``http://host[:port][/prefix]``."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._prefix = parts.path.rstrip("/")
        self._authority = parts.netloc.rpartition("@")[2]
        self._idle: deque[Any] = deque()

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        *,
        connect_timeout: float,
        read_timeout: float,
        before: Before,
    ) -> Answer:
        """Send, and return once the answer's headers are there. An iterable body without Content-Length is chunked."""
        sock = self._connection(connect_timeout)
        try:
            sock.settimeout(read_timeout)
            self._send(sock, self._head(method, path, headers, body), body, headers)
            try:
                before(sock)
            except TimeoutError as error:
                raise _silent() from error
            except OSError as error:
                raise ProtocolError("the connection was given up", error) from error
        except BaseException:
            sock.close()
            raise
        return Answer(sock, method == "HEAD", self._give_back)

    def _head(self, method: str, path: str, headers: Mapping[str, str], body: object) -> bytes:
        target = self._prefix + path
        if not _PLAIN.fullmatch(target):
            target = parse_url(f"http://{self._authority}{target}").request_uri
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._authority}", "Accept-Encoding: identity"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if _has(headers, "content-length"):
            pass
        elif isinstance(body, bytes):
            if body or method not in ("GET", "HEAD"):
                lines.append(f"Content-Length: {len(body)}")
        elif body is not None:
            lines.append("Transfer-Encoding: chunked")
        elif method in ("POST", "PUT", "PATCH"):
            lines.append("Content-Length: 0")
        text = "\r\n".join(lines)
        if text.count("\r") != len(lines) - 1 or text.count("\n") != len(lines) - 1 or "\0" in text:
            raise ValueError("a header with a line break")
        return f"{text}\r\n\r\n".encode("latin-1")

    def _send(self, sock: Any, head: bytes, body: bytes | Iterable[bytes] | None, headers: Mapping[str, str]) -> None:
        """All of it, or until the peer reads no more: whoever refuses a body may have answered before it closed."""
        if body is None or isinstance(body, bytes):
            if body is not None and len(body) <= _JOINED_BYTES:
                head, body = head + body, None
            if _put(sock, head) and body:
                _put(sock, body)
            return
        framed = not _has(headers, "content-length")
        read = _put(sock, head)
        for block in body:
            if not read:
                return
            if block:
                read = _put(sock, b"%x\r\n%b\r\n" % (len(block), block) if framed else block)
        if read and framed:
            _put(sock, b"0\r\n\r\n")

    def _connection(self, timeout: float) -> Any:
        while self._idle:
            try:
                sock = self._idle.pop()
            except IndexError:
                break
            if _usable(sock):
                return sock
            sock.close()
        try:
            sock = socket.create_connection((self._host, self._port), timeout)
        except socket.gaierror as error:
            raise NameResolutionError(self._host, cast(Any, None), error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(f"{self._authority} does not answer") from error
        except OSError as error:
            raise NewConnectionError(cast(Any, None), f"{self._authority}: {error}") from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _give_back(self, sock: Any) -> None:
        if len(self._idle) < KEPT_IDLE:
            self._idle.append(sock)
        else:
            sock.close()


def _silent() -> ReadTimeoutError:
    return ReadTimeoutError(cast(Any, None), cast(Any, None), "the peer was silent for too long")


def _put(sock: Any, data: bytes) -> bool:
    """Send; False when the peer reads no more."""
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    except TimeoutError as error:
        raise _silent() from error
    return True


def _has(headers: Mapping[str, str], lower: str) -> bool:
    return any(name.lower() == lower for name in headers)


def _usable(sock: Any) -> bool:
    """Whether nothing is to be read on a connection that waits: neither its end nor anything unasked."""
    inner = getattr(sock, "_sock", None)
    if inner is None:  # a plain socket; gevent's hold one that never blocks
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return not poll.poll(0)
    try:
        inner.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
