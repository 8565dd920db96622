"""Tools in chat as it is run: under gunicorn's greenlets, a client that leaves ends a tool's work."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chat.scripted_gpt import ScriptedGpt, call
from tests.chat.serving import SilentServer, start_chat

ROOT = Path(__file__).resolve().parents[3]
ASKED = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "?"}],
    "tools": [{"type": "frigo", "name": "recherche"}, {"type": "frigo", "name": "calculatrice"}],
    "stream": True,
}


@pytest.fixture(scope="module")
def search() -> Iterator[SilentServer]:
    silent = SilentServer(b"\r\n\r\n")
    yield silent
    silent.socket.close()


@pytest.fixture(scope="module")
def port(front: tuple[Any, str], search: SilentServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    number, process = start_chat(front[1], tmp_path_factory.mktemp("data"), SEARXNG_URL=search.url)
    yield number
    process.send_signal(signal.SIGQUIT)  # at once: how it ends is tested elsewhere
    process.wait(60)


@pytest.fixture
def scripted(front: tuple[Any, str]) -> ScriptedGpt:
    fake = ScriptedGpt()
    front[0].app = fake.app
    return fake


def ask(port: int) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/v1/chat/completions", json.dumps(ASKED).encode(), {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def test_a_client_that_leaves_ends_the_tool(port: int, scripted: ScriptedGpt, search: SilentServer) -> None:
    """Meanwhile the other call of the round is told at once, and others are served."""
    scripted.enqueue([call("recherche", requete="lait"), call("calculatrice", expression="1+1")])
    connection, answer = ask(port)
    states = []
    while len(states) < 3:
        line = answer.readline()
        if b"tool_run" in line:
            run = json.loads(line[5:])["choices"][0]["delta"]["tool_run"]
            states.append((run["name"], run["state"]))
    assert states == [("recherche", "running"), ("calculatrice", "running"), ("calculatrice", "done")]
    assert search.read.wait(30)
    other, whole = ask(port)
    assert whole.read().endswith(b"data: [DONE]\n\n")
    other.close()
    assert not search.left.is_set()
    answer.close()
    connection.close()
    assert search.left.wait(30)
    assert len(scripted.requests) == 2  # the model was not asked to go on


def test_a_client_that_leaves_stops_the_round_that_is_written(port: int, scripted: ScriptedGpt) -> None:
    scripted.enqueue([call("calculatrice", expression="1+1")], ["Un", *["."] * 500])
    scripted.permits = threading.Semaphore(6)  # up to the first word
    connection, answer = ask(port)
    while b'"Un"' not in answer.readline():
        pass
    scripted.stream_closed.clear()
    answer.close()
    connection.close()
    deadline, more = time.monotonic() + 60, 0
    while not scripted.stream_closed.is_set() and time.monotonic() < deadline:
        scripted.permits.release()  # it notices when it writes its next piece
        more += 1
        time.sleep(0.02)
    assert scripted.stream_closed.is_set()
    assert more < 500
