"""Several addresses of one service, as real servers that die, hang, are slow, break off, or sleep."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask, Response, request

from common.errors import ApiError
from common.web import client, replicas
from common.web.client import Peer

Serve = Callable[..., str]


class Host:
    """A service of ours: what it was asked, and how it behaves."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[str] = []
        self.health = 0
        self.go_on = threading.Event()
        self.turns_away: Callable[[], Response | None] = lambda: None
        self.app = Flask(name)
        self.app.add_url_rule("/health", view_func=self._health)
        for rule, view in (("/say", self._say), ("/wait", self._wait), ("/stream", self._stream)):
            self.app.add_url_rule(rule, view_func=view, methods=["GET", "POST"])

    def _health(self) -> Any:
        self.health += 1
        return self.turns_away() or {"status": "ok"}

    def _say(self) -> Any:
        self.asked.append(request.get_data(as_text=True))
        return self.turns_away() or {"name": self.name}

    def _wait(self) -> Any:
        self.asked.append("wait")
        self.go_on.wait(60)
        return {"name": self.name}

    def _stream(self) -> Response:
        self.asked.append("stream")

        def chunks() -> Iterator[str]:
            yield f"{self.name} "
            self.go_on.wait(60)
            yield "end"

        return Response(chunks(), headers={"X-Name": self.name})


class Rude:
    """A host that reads what comes on each connection, writes `answer`, and closes it at once."""

    def __init__(self, answer: bytes = b"") -> None:
        self.connections = 0
        self._answer = answer
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            with connection:
                self.connections += 1
                connection.recv(65536)
                connection.sendall(self._answer)

    def __enter__(self) -> Rude:
        return self

    def __exit__(self, *_error: object) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "COOL_DOWN_SECONDS", 0.2)
    monkeypatch.setattr(replicas, "WAKE_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(replicas, "_KEPT_SECONDS", 0.05)


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for an answer soon asks for the health of the one that gives it."""
    monkeypatch.setattr(client, "LOOK_SECONDS", 0.3)


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    pair = Host("a"), Host("b")
    yield pair
    for host in pair:
        host.go_on.set()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def idle(peer: Peer) -> bool:
    return [one.in_flight for one in peer._replicas.all] == [0] * len(peer.urls)


def test_the_least_busy_is_asked(serve: Serve, hosts: tuple[Host, Host]) -> None:
    peer = Peer("gpt", ",".join(serve(host.app) for host in hosts))
    with ExitStack() as stack:
        first, second, third, fourth = (stack.enter_context(peer.stream("POST", "/stream", body=b"")) for _ in range(4))
        names = [one.headers["X-Name"] for one in (first, second, third, fourth)]
        assert sorted(names[:2]) == sorted(names[2:]) == ["a", "b"]
        freed = [one for one in (first, second, third, fourth) if one.headers["X-Name"] == "b"]
        for one in freed:
            one.close()
        assert [peer.request("GET", "/say").json()["name"] for _ in range(4)] == ["b"] * 4
    assert idle(peer)


def test_one_that_dies_before_its_answer_is_replaced(serve: Serve, hosts: tuple[Host, Host]) -> None:
    with Rude() as dying:
        peer = Peer("gpt", f"{dying.url},{serve(hosts[1].app)}")
        assert [peer.request("POST", "/say", body=b"x", again=True).json()["name"] for _ in range(3)] == ["b"] * 3
        assert dying.connections >= 1
        assert idle(peer)


def test_what_may_be_done_once_is_not_done_twice(serve: Serve, hosts: tuple[Host, Host]) -> None:
    with Rude() as dying:
        peer = Peer("gpt", f"{dying.url},{serve(hosts[1].app)}")
        with pytest.raises(ApiError) as caught:
            peer.request("POST", "/say", body=b"x")
        assert caught.value.code == "peer_broken"
        assert hosts[1].asked == []


def test_an_answer_that_has_begun_is_asked_for_nowhere_else(serve: Serve, hosts: tuple[Host, Host]) -> None:
    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Request-ID: r\r\n\r\n4\r\npart\r\n"
    with Rude(begun) as dying:
        peer = Peer("gpt", f"{dying.url},{serve(hosts[1].app)}")
        with peer.stream("POST", "/say", body=b"x", again=True) as stream:
            chunks = iter(stream)
            assert next(chunks) == b"part"
            with pytest.raises(ApiError) as caught:
                next(chunks)
        assert caught.value.code == "peer_broken"
        assert hosts[1].asked == []
        peer._replicas.all[1].in_flight += 1  # busier, and yet trusted more
        assert [peer.request("POST", "/say", body=b"y").json()["name"] for _ in range(2)] == ["b"] * 2
        peer._replicas.all[1].in_flight -= 1
        assert idle(peer)


@pytest.mark.usefixtures("watchful")
def test_one_that_hangs_is_given_up(serve: Serve, hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "PROBE_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never reads
        peer = Peer("gpt", f"http://127.0.0.1:{silent.getsockname()[1]},{serve(hosts[1].app)}")
        assert peer.request("POST", "/say", body=b"x", again=True).json()["name"] == "b"
        assert peer.request("POST", "/say", body=b"y").json()["name"] == "b"
        assert idle(peer)


@pytest.mark.usefixtures("watchful")
def test_one_that_is_slow_is_waited_for(
    serve: Serve, hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "PROBE_SECONDS", 20.0)
    slow, other = hosts
    peer = Peer("gpt", f"{serve(slow.app)},{serve(other.app)}")
    names: list[str] = []
    caller = threading.Thread(
        target=lambda: names.append(peer.request("POST", "/wait", body=b"", again=True).json()["name"])
    )
    caller.start()
    until(lambda: slow.health >= 3)  # it was looked after meanwhile
    slow.go_on.set()
    caller.join(60)
    assert names == ["a"]
    assert other.asked == []


def _not_ready() -> Response:
    body = '{"error": {"message": "attendez", "code": "model_not_ready"}}'
    return Response(body, 503, {"Retry-After": "7", "X-Request-ID": "r"}, content_type="application/json")


def test_one_that_is_not_ready_is_replaced_by_one_that_is(serve: Serve, hosts: tuple[Host, Host]) -> None:
    hosts[0].turns_away = _not_ready
    peer = Peer("gpt", ",".join(serve(host.app) for host in hosts))
    assert {peer.request("POST", "/say", body=b"x", again=True).json()["name"] for _ in range(4)} == {"b"}
    hosts[1].turns_away = _not_ready
    with pytest.raises(ApiError) as caught:
        peer.request("POST", "/say", body=b"x", again=True).raise_for_status()
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("model_not_ready", "7")
    assert idle(peer)


def test_one_that_comes_back_serves_again(serve: Serve, hosts: tuple[Host, Host], free_port: int) -> None:
    peer = Peer("gpt", f"http://127.0.0.1:{free_port},{serve(hosts[1].app)}")
    assert {peer.request("POST", "/say", body=b"x").json()["name"] for _ in range(3)} == {"b"}
    serve(hosts[0].app, free_port)
    until(lambda: peer.request("POST", "/say", body=b"x").json()["name"] == "a")
    assert hosts[0].health >= 1


def sleeping(host: Host, times: int) -> None:
    """`host` is behind a proxy that turns away the first `times` calls, as its instance starts."""
    left = [times]

    def turn_away() -> Response | None:
        left[0] -= 1
        return Response("<h1>Bad Gateway</h1>", 502, content_type="text/html") if left[0] >= 0 else None

    host.turns_away = turn_away


def test_one_that_sleeps_is_woken_and_waited_for(serve: Serve, hosts: tuple[Host, Host]) -> None:
    host = hosts[0]
    sleeping(host, 4)
    peer = Peer("gpt", serve(host.app), wake_seconds=20)
    assert peer.request("POST", "/say", body=b"x", again=True).json()["name"] == "a"
    assert (host.asked, host.health) == (["x", "x"], 4)
    assert peer.request("POST", "/say", body=b"y").json()["name"] == "a"
    assert host.health == 4  # it is awake: nobody asks


@pytest.mark.parametrize("upload", [False, True])
def test_what_is_sent_once_finds_its_host_awake(serve: Serve, hosts: tuple[Host, Host], upload: bool) -> None:
    sleeping(hosts[0], 3)
    peer = Peer("asr", serve(hosts[0].app), wake_seconds=20)
    body = io.BytesIO(b"once") if upload else b"once"
    assert peer.request("POST", "/say", body=body, headers={"Content-Length": "4"}, again=upload).status == 200
    assert (hosts[0].asked, hosts[0].health) == (["once"], 4)


def test_a_file_is_sent_in_blocks_and_not_by_lines(serve: Serve) -> None:
    class Recording(io.BytesIO):
        def __iter__(self) -> Any:
            raise AssertionError("by lines")

    app = Flask("asr")
    app.add_url_rule("/size", view_func=lambda: {"bytes": len(request.get_data())}, methods=["POST"])
    sent = Recording(b"a\n" * 100_000)
    headers = {"Content-Length": "200000"}
    assert Peer("asr", serve(app)).request("POST", "/size", body=sent, headers=headers).json() == {"bytes": 200_000}


def test_one_that_refuses_for_a_while_is_waited_for(serve: Serve, hosts: tuple[Host, Host], free_port: int) -> None:
    peer = Peer("gpt", f"http://127.0.0.1:{free_port}", wake_seconds=20)
    starting = threading.Timer(0.3, lambda: serve(hosts[0].app, free_port))
    starting.start()
    callers = [
        threading.Thread(target=lambda: peer.request("POST", "/say", body=b"x").raise_for_status()) for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    starting.join()
    assert hosts[0].asked == ["x"] * 3


def test_one_that_does_not_wake_is_given_up_for_a_while(serve: Serve, hosts: tuple[Host, Host]) -> None:
    sleeping(hosts[0], 10_000)
    peer = Peer("gpt", serve(hosts[0].app), wake_seconds=0.3)
    with pytest.raises(ApiError) as caught:
        peer.request("POST", "/say", body=b"x", again=True)
    assert (caught.value.status, caught.value.code) == (503, "peer_unavailable")
    asked = hosts[0].health
    with pytest.raises(ApiError):
        peer.request("POST", "/say", body=b"x", again=True)
    assert hosts[0].health == asked


def test_a_probe_does_not_wait(serve: Serve, hosts: tuple[Host, Host]) -> None:
    sleeping(hosts[0], 10_000)
    peer = Peer("gpt", serve(hosts[0].app), wake_seconds=60)
    assert peer.request("GET", "/say", timeout=client.PROBE_TIMEOUT).status == 502
    assert hosts[0].health == 0


def test_a_service_that_turns_away_is_not_asleep(serve: Serve, hosts: tuple[Host, Host]) -> None:
    hosts[0].turns_away = _not_ready
    peer = Peer("gpt", serve(hosts[0].app), wake_seconds=60)
    assert peer.request("POST", "/say", body=b"x", again=True).status == 503
    assert (hosts[0].asked, hosts[0].health) == (["x"], 0)


@pytest.mark.parametrize(
    ("url", "sleeps"),
    [
        ("http://127.0.0.1:5002", False),
        ("http://localhost:5002", False),
        ("http://[::1]:5002", False),
        ("http://gpt:5002", True),
        ("https://frigo-gpt.onrender.com", True),
    ],
)
def test_this_machine_never_sleeps(url: str, sleeps: bool) -> None:
    assert bool(Peer("gpt", url)._replicas.asleep()) is sleeps
