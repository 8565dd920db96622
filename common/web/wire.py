"""HTTP/1.1 to a service of ours, in clear: what urllib3 does for any server, for a ninth of the CPU.

A gateway makes a call for each call it gets, and urllib3 was the largest part of what that cost. Answers are read by
httptools; the connections kept and the writing are here: a request is sent in one write when its body is at hand, and
what has come of an answer is given at once, whatever number of chunks that is. Errors are urllib3's own, which also
makes the calls in TLS (`common.web.connections`).
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

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
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
_MOST_FRAMING_BYTES = 64 * 1024
_JOINED_BYTES = 256 * 1024
_PLAIN = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+(?:\?[A-Za-z0-9_.~=&%+-]*)?", re.ASCII)

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


class _Parsing:
    """An answer as httptools (llhttp, the parser of Node) tells it in the bytes given to `feed`."""

    def __init__(self, head_only: bool) -> None:
        self.status = 0
        self.headers = Headers([])
        self.begun = False
        """The headers are there; those of a 1xx do not count."""
        self.pieces: list[bytes] = []
        """Of the body, not taken yet."""
        self.ended = False
        self.kept = False
        """Once it has ended: whether its connection may serve again."""
        self._head_only = head_only
        self._pairs: list[tuple[str, str]] = []
        self._fruitless = 0
        self._parser: Any = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Raises ProtocolError when these bytes are no answer, or go on without bringing anything."""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.ended:
                raise ProtocolError(f"no HTTP answer: {error.__context__ or error}", error) from error
            self.kept = False  # bytes that nobody asked for came after its end
        self._fruitless = 0 if self.pieces or self.ended else self._fruitless + len(data)
        if self._fruitless > _MOST_FRAMING_BYTES:
            raise ProtocolError("headers, or framing, without an end")

    def feed_end(self) -> None:
        """The peer has hung up: the end of a body that has no other, else a ProtocolError."""
        if not self.begun or "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            raise ProtocolError("the connection ended before the answer")
        self.ended = True

    def take(self) -> bytes:
        data = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        self.pieces.clear()
        return data

    def let_go(self) -> None:
        """Of the parser, which holds this object: else both wait for the garbage collector."""
        self._parser = None

    # What follows is called by `HttpResponseParser`, which stops where one of them raises.

    def on_message_begin(self) -> None:
        if self.ended:
            raise ProtocolError("another answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.begun:  # else it is a trailer
            self._pairs.append((name.decode("latin-1"), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if not 100 <= self.status < 600:
            raise ProtocolError("a status that is none")
        if self.status < 200:
            self._pairs.clear()
            return
        self.begun = True
        self.headers = Headers(self._pairs)
        if self._head_only:
            self.ended = True
            raise ProtocolError("httptools cannot be told that no body follows")  # hence no other answer either
        if self.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
            raise ProtocolError("an unknown transfer encoding")
        self.kept = self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.ended = self.begun


class Answer:
    """Status and headers at once, the body as it comes. `close` before its end drops the connection."""

    def __init__(self, sock: Any, head_only: bool, give_back: Callable[[Any], None]) -> None:
        """Reads up to the end of the headers."""
        self._sock = sock
        self._give_back = give_back
        self._reading = False
        self._ended = self._closed = False
        self._parsing = parsing = _Parsing(head_only)
        try:
            while not parsing.begun:
                self._more()
        except BaseException:
            self._drop()
            raise
        self.status, self.headers = parsing.status, parsing.headers
        if parsing.ended and not parsing.pieces:
            self._end()

    def read1(self) -> bytes:
        """What has come of the body, waiting for some if need be; nothing at its end."""
        if self._ended:
            return b""
        if self._closed:
            raise ProtocolError("the connection was closed")
        parsing, self._reading = self._parsing, True
        try:
            while not parsing.pieces and not parsing.ended:
                self._more()
            if parsing.ended:
                self._end()
            return parsing.take()
        finally:
            self._reading = False
            if self._closed:
                self._drop()

    def _more(self) -> None:
        try:
            data: bytes = self._sock.recv(_READ_BYTES)
        except TimeoutError as error:
            raise _silent() from error
        except OSError as error:
            raise ProtocolError("the connection broke", error) from error
        if data:
            self._parsing.feed(data)
        else:
            self._parsing.feed_end()

    def _end(self) -> None:
        """The answer is whole: its connection may serve again."""
        self._ended = True
        sock, self._sock = self._sock, None
        self._parsing.let_go()
        if sock is None:
            return
        if self._parsing.kept and not self._closed:
            self._give_back(sock)
        else:
            sock.close()

    def _drop(self) -> None:
        sock, self._sock = self._sock, None
        self._parsing.let_go()
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
