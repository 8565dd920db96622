"""Our own HTTP client against what a server may write, however it is cut, and when connections may serve again."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from urllib3.exceptions import (
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from common.web.wire import Answer, Wire

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Host:
    """Answers each request with the next of `answers`, in the pieces given; None hangs up before, b"" stays silent."""

    def __init__(self) -> None:
        self.answers: list[list[bytes] | None] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.closes = False
        self.gone = threading.Event()  # a caller, or this host
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (request := self._request(sock)) is not None:
                self.requests.append(request)
                pieces = self.answers.pop(0)
                with contextlib.suppress(ConnectionError):  # one who has left
                    for piece in pieces or ():
                        sock.sendall(piece)
                if pieces is None or self.closes:
                    sock.shutdown(socket.SHUT_RDWR)
                    break
        self.gone.set()

    @staticmethod
    def _request(sock: socket.socket) -> bytes | None:
        data = b""
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            if end and b"chunked" in head and body.endswith(b"0\r\n\r\n"):
                return data
            if end and b"chunked" not in head:
                _name, _colon, length = head.lower().partition(b"content-length:")
                if len(body) >= int(length.split(b"\r\n")[0] or 0):
                    return data
            try:
                more = sock.recv(65536)
            except OSError:
                return None
            if not more:
                return None
            data += more

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


@pytest.fixture
def ask(host: Host) -> Callable[..., Answer]:
    wire = Wire(host.url)

    def call(method: str = "GET", path: str = "/x", body: Any = None, **headers: str) -> Answer:
        limits = {"connect_timeout": 30.0, "read_timeout": 30.0}
        return wire.request(method, path, headers, body, before=lambda _sock: None, **limits)

    return call


def whole(answer: Answer) -> bytes:
    return b"".join(iter(answer.read1, b""))


@pytest.mark.parametrize(
    ("wire", "data", "kept"),
    [
        (HELLO, b"hello", True),
        (CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde", True),
        (CHUNKED + b"A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", b"0123456789", True),
        (CHUNKED + b"0000000000000003\r\nabc\r\n0\r\n\r\n", b"abc", True),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HELLO, b"hello", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HELLO, b"hello", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"", True),
        (HELLO.replace(b"200 OK", b"200"), b"hello", True),
        (HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"hello", False),
        (HELLO.replace(b"1.1", b"1.0"), b"hello", False),
        (HELLO.replace(b"1.1", b"1.0").replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), b"hello", True),
    ],
)
def test_an_answer_is_read_however_it_is_cut(
    host: Host, ask: Callable[..., Answer], wire: bytes, data: bytes, kept: bool
) -> None:
    ways = [[wire], [bytes([byte]) for byte in wire]]
    ways += [[wire[:at], wire[at:]] for at in range(1, len(wire), 7)]
    for pieces in ways:
        host.answers.append(pieces)
        assert whole(ask()) == data
    if kept:
        assert host.connections == 1, "one connection serves them all"
    else:
        assert host.connections == len(ways)


@pytest.mark.parametrize(
    ("wire", "data"),
    [
        (HELLO + HELLO.replace(b"hello", b"other"), b"hello"),
        (HELLO + b"x", b"hello"),
        (HELLO + b"\r\n\r\nHTTP/1.1 ", b"hello"),
        (CHUNKED + b"0\r\n\r\n0\r\n\r\n", b""),
        (HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"x", b"hello"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", b""),
    ],
)
def test_what_nobody_asked_for_is_not_the_next_answer(
    host: Host, ask: Callable[..., Answer], wire: bytes, data: bytes
) -> None:
    host.answers += [[wire], [HELLO]]
    assert whole(ask()) == data
    assert whole(ask()) == b"hello"
    assert host.connections == 2


@pytest.mark.parametrize("sent", [HELLO[:-5], HELLO, CHUNKED, CHUNKED + b"5"])
def test_the_answer_to_head_has_no_body(host: Host, ask: Callable[..., Answer], sent: bytes) -> None:
    host.answers += [[sent], [HELLO]]
    answer = ask("HEAD")
    assert (answer.status, whole(answer)) == (200, b"")
    assert answer.headers.get("Content-Length") == ("5" if b"Length" in sent else None)
    assert whole(ask()) == b"hello"


def test_an_answer_without_length_ends_with_its_connection(host: Host, ask: Callable[..., Answer]) -> None:
    host.closes = True
    host.answers.append([b"HTTP/1.1 200 OK\r\n\r\n", b"un ", b"deux"])
    assert whole(ask()) == b"un deux"


def test_headers_are_found_in_any_case(host: Host, ask: Callable[..., Answer]) -> None:
    host.answers.append([b"HTTP/1.1 418 T\r\nX-A:  1 \r\nx-a: 2\r\nContent-Length: 0\r\n\r\n"])
    answer = ask()
    assert (answer.status, answer.headers["x-A"], answer.headers.get("no")) == (418, "1, 2", None)
    assert list(answer.headers.items()) == [("X-A", "1"), ("x-a", "2"), ("Content-Length", "0")]
    host.answers.append([b"HTTP/1.1 103 E\r\nX-A: early\r\n\r\n" + CHUNKED + b"1\r\na\r\n0\r\nX-A: trailer\r\n\r\n"])
    answer = ask()
    assert whole(answer) == b"a"
    assert list(answer.headers.items()) == [("Transfer-Encoding", "chunked")]


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-nobody\r\n\r\n",
        HELLO.replace(b"200", b"099") + HELLO,
        HELLO.replace(b"200", b"600"),
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\nhello",  # 5, modulo 2**64
        HELLO.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"),
        HELLO.replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\n"),
        HELLO.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
        CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n") + b"0\r\n\r\n",
        HELLO.replace(b"\r\n\r\n", b"\r\nX-A: b\r\n folded\r\n\r\n"),
        HELLO.replace(b"\r\n\r\n", b"\r\nX-A : b\r\n\r\n"),
        HELLO.replace(b"\r\n\r\n", b"\r\nX-A: b\0\r\n\r\n"),
        HELLO.replace(b"\r\n", b"\n"),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + HELLO,
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello" + HELLO,
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n",
        CHUNKED + b"FFFFFFFFFFFFFFFF\r\nabc",
        CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n",  # 3, modulo 2**64
        CHUNKED + b"3\nabc\n0\n\n",
        CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n",
        CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"3\r\nabcde\r\n0\r\n\r\n",
        CHUNKED + b"x" * 5000,
        HELLO[:-2],
        HELLO[:-8],
        CHUNKED + b"3\r\nab",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
        b"",
    ],
)
def test_what_is_no_answer_or_not_whole_is_an_error(host: Host, ask: Callable[..., Answer], wire: bytes) -> None:
    host.closes = True
    host.answers.append([wire])
    with pytest.raises(ProtocolError):
        whole(ask())


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: a\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        (CHUNKED + b"3;", b"x"),
        (CHUNKED + b"3\r\nabc\r\n0\r\nX-A: ", b"a"),
        (CHUNKED + b"3\r\nabc\r\n0\r\n", b"X-A: a\r\n"),
    ],
)
def test_what_never_ends_is_not_read_for_ever(
    host: Host, ask: Callable[..., Answer], begins: bytes, goes_on: bytes
) -> None:
    host.answers.append([begins, goes_on * (200_000 // len(goes_on))])
    with pytest.raises(ProtocolError, match="without an end"):
        whole(ask())
    assert host.gone.wait(30)


def test_a_connection_that_was_closed_meanwhile_is_not_used(host: Host, ask: Callable[..., Answer]) -> None:
    host.closes = True
    for _call in range(2):
        host.answers.append([HELLO])
        host.gone.clear()
        assert whole(ask()) == b"hello"
        assert host.gone.wait(30)
    assert host.connections == 2


def test_closing_before_the_end_drops_the_connection(host: Host, ask: Callable[..., Answer]) -> None:
    host.answers += [[CHUNKED, b"3\r\nabc\r\n"], [HELLO]]
    answer = ask()
    assert answer.read1() == b"abc"
    answer.close()
    assert host.gone.wait(30)
    with pytest.raises(HTTPError):
        answer.read1()
    assert whole(ask()) == b"hello"


def test_a_thread_that_reads_is_woken_by_the_one_that_closes(host: Host, ask: Callable[..., Answer]) -> None:
    host.answers.append([CHUNKED])
    answer, ends = ask(), threading.Event()

    def read() -> None:
        with pytest.raises(ProtocolError):
            answer.read1()
        ends.set()

    threading.Thread(target=read, daemon=True).start()
    while not answer._reading:
        pass
    answer.close()
    assert ends.wait(30)
    assert host.gone.wait(30)


def test_requests_are_written_as_servers_read_them(host: Host, ask: Callable[..., Answer]) -> None:
    host.answers += [[HELLO]] * 4
    whole(ask("POST", "/a é?b=1 2", b"{}", Name="v"))
    whole(ask("POST", "/b", iter([b"ab", b"", b"c"])))
    whole(ask("POST", "/c", iter([b"ab", b"c"]), **{"Content-Length": "3"}))
    whole(ask("DELETE", "/d"))
    first, second, third, fourth = (request.decode().partition("\r\n\r\n") for request in host.requests)
    assert first[0].startswith("POST /a%20%C3%A9?b=1%202 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert "\r\nName: v\r\nContent-Length: 2" in first[0]
    assert first[2] == "{}"
    assert "Transfer-Encoding: chunked" in second[0]
    assert second[2] == "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert "chunked" not in third[0]
    assert third[2] == "abc"
    assert "Content-Length" not in fourth[0]


@pytest.mark.parametrize("value", ["a\r\nX-Service-Token: b", "a\nb", "a\0b"])
def test_no_header_makes_another(host: Host, ask: Callable[..., Answer], value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        ask(Name=value)
    assert not host.requests


def test_an_answer_to_a_body_that_was_not_read_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            sock = listener.accept()[0]
            with sock:
                sock.recv(1024)
                sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass

        threading.Thread(target=refuse, daemon=True).start()
        wire = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}")
        body = iter([b"x" * 65536] * 20)
        answer = wire.request("POST", "/", {}, body, connect_timeout=30, read_timeout=30, before=lambda _sock: None)
        assert (answer.status, whole(answer)) == (413, b"no")


def test_who_does_not_answer_is_told_apart(free_port: int, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_asked: Any, **_more: Any) -> Any:  # whatever this machine's name server answers, and when
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def call(url: str, seconds: float = 30) -> Answer:
        wire = Wire(url)
        return wire.request("GET", "/", {}, None, connect_timeout=30, read_timeout=seconds, before=lambda _sock: None)

    with pytest.raises(NewConnectionError):
        call(f"http://127.0.0.1:{free_port}")
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(NameResolutionError):
            call("http://nobody.invalid")
    host.answers.append([b""])
    with pytest.raises(ReadTimeoutError):
        call(host.url, 0.05)
