"""chat as it is run: gunicorn with greenlets, a streaming gpt behind it, the real parser beside it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from chat.diagrams.parser import MermaidParser
from tests.chat.fake_gpt import FakeGpt
from tests.chat.serving import SilentServer, start_chat
from tests.chat.test_conversation_answers import until

ROOT = Path(__file__).resolve().parents[2]
BODY = {"model": "frigo-mini", "messages": [{"role": "user", "content": "x"}], "stream": True}


class Live:
    """A running chat with one worker."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.process = process

    def request(self, method: str, path: str, body: Any = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        return connection.getresponse()

    def validate(self, mermaid: str) -> bool | None:
        answer: dict[str, Any] = json.load(self.request("POST", "/api/diagrams/validate", {"mermaid": mermaid}))
        valid: bool | None = answer["valid"]
        return valid

    def node_processes(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if child.name() == "node" and child.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(scope="module")
def asr() -> Iterator[SilentServer]:
    silent = SilentServer(b"--frontier--")
    yield silent
    silent.socket.close()


@pytest.fixture(scope="module")
def live(front: tuple[Any, str], asr: SilentServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    data_dir = tmp_path_factory.mktemp("data")
    port, process = start_chat(front[1], data_dir, ASR_API_URL=asr.url)
    running = Live(port, process)
    yield running
    process.terminate()
    assert process.wait(60) == 0


def test_a_token_is_seen_before_the_next_is_written(live: Live, gpt: FakeGpt) -> None:
    gpt.permits = threading.Semaphore(1)
    answer = live.request("POST", "/v1/chat/completions", {**BODY, "max_tokens": 3})
    assert answer.status == 200
    for number in range(3):
        assert f"é{number}".encode() in answer.readline()
        assert answer.readline() == b"\n"
        gpt.permits.release()
    assert answer.read() == b"data: [DONE]\n\n"


def test_a_client_that_leaves_stops_gpt_within_a_token(live: Live, gpt: FakeGpt) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)
    sent = json.dumps({**BODY, "max_tokens": 400, "pace": 0.05}).encode()
    connection.request("POST", "/v1/chat/completions", sent, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    for _ in range(6):
        answer.readline()
    answer.close()
    connection.close()
    left_at = gpt.chunks_sent
    assert gpt.stream_closed.wait(30)
    print("LEFT", gpt.chunks_sent - left_at)
    assert gpt.chunks_sent - left_at <= 3  # one seen by chat, one or two more in the sockets of the fake itself


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**BODY, "stream": False}),
        ("/api/diagrams", {"text": "Il range la caisse, puis il repart."}),
        ("/api/minutes", {"transcript": "Zoé: Bonjour."}),
        ("/api/minutes", {"transcript": "Zoé: Bonjour.", "stream": True}),
    ],
)
def test_a_client_that_leaves_before_an_answer_in_one_piece_stops_gpt(
    live: Live, gpt: FakeGpt, path: str, body: dict[str, Any]
) -> None:
    gpt.permits = threading.Semaphore(0)
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)
    connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    deadline = time.monotonic() + 60
    while not gpt.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not gpt.stream_closed.wait(0.3)
    connection.close()
    assert gpt.stream_closed.wait(30)
    assert live.request("GET", "/health").status == 200


def test_a_client_that_leaves_during_a_transcription_stops_asr(live: Live, asr: SilentServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)
    part = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body = part + bytes(300_000) + b"\r\n--frontier--\r\n"
    connection.request(
        "POST", "/v1/audio/transcriptions", body, {"Content-Type": "multipart/form-data; boundary=frontier"}
    )
    assert asr.read.wait(60)
    assert not asr.left.wait(0.3)
    connection.close()
    assert asr.left.wait(30)
    assert live.request("GET", "/health").status == 200


def test_a_connection_serves_several_requests(live: Live, gpt: FakeGpt) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)
    for turn in range(3):
        sent = json.dumps({**BODY, "stream": bool(turn % 2), "max_tokens": 2}).encode()
        connection.request("POST", "/v1/chat/completions", sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.read()
    assert len(gpt.requests) == 3


def test_a_stream_that_breaks_ends_with_an_error_event(live: Live, gpt: FakeGpt) -> None:
    answer = live.request("POST", "/v1/chat/completions", {**BODY, "breaks_after": 2})
    assert answer.status == 200
    events = answer.read().decode().split("\n\n")
    assert "é1" in events[1]
    assert events[2].startswith("event: error\ndata: ")
    assert json.loads(events[2].partition("data: ")[2])["error"]["code"] == "peer_broken"


def test_the_parser_works_under_greenlets_beside_a_stream(
    live: Live, gpt: FakeGpt, mermaid_parser: MermaidParser
) -> None:
    stream = live.request("POST", "/v1/chat/completions", {**BODY, "max_tokens": 400, "pace": 0.05})
    assert stream.readline()
    with ThreadPoolExecutor(8) as pool:
        texts = [f"flowchart TD\n A{n}-->B" if n % 2 else f"flowchart TD\n A{n}[x(y)]" for n in range(24)]
        verdicts = list(pool.map(live.validate, texts))
    assert verdicts == [bool(n % 2) for n in range(24)]
    assert len(live.node_processes()) == 1
    assert not gpt.stream_closed.is_set()
    stream.close()


def test_health_answers_while_the_parser_starts(live: Live, mermaid_parser: MermaidParser) -> None:
    for process in live.node_processes():
        process.kill()
    with ThreadPoolExecutor(1) as pool:
        verdict = pool.submit(live.validate, "flowchart TD\n A-->B")
        answered = 0
        while not verdict.done():
            assert live.request("GET", "/health").status == 200
            answered += 1
            time.sleep(0.01)
        assert verdict.result() is True
    assert answered >= 5  # a worker that waited for Node would have answered once


def test_a_killed_parser_comes_back(live: Live, mermaid_parser: MermaidParser) -> None:
    assert live.validate("flowchart TD\n A-->B") is True
    (first,) = live.node_processes()
    first.kill()
    assert live.validate("flowchart TD\n A-->B") is True
    (second,) = live.node_processes()
    assert second.pid != first.pid


def test_a_hung_parser_is_not_waited_for_by_others(live: Live, gpt: FakeGpt, mermaid_parser: MermaidParser) -> None:
    assert live.validate("flowchart TD\n A-->B") is True
    (node,) = live.node_processes()
    node.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as pool:
            stuck = pool.submit(live.validate, "flowchart TD\n A-->B")
            assert live.request("GET", "/v1/models").status == 200
            assert not stuck.done()
            node.send_signal(signal.SIGCONT)
            assert stuck.result(30) is True
    finally:
        node.send_signal(signal.SIGCONT)


def test_a_wrong_variable_is_one_sentence_that_names_it() -> None:
    code = "import chat.wsgi"
    environ = {"PATH": os.environ["PATH"], "GPT_API_URL": "ftp://x"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 4
    assert done.stderr.strip() == "Configuration refusée — GPT_API_URL : une adresse http(s)://hôte[:port] est attendue"


def test_importing_chat_brings_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys, chat.wsgi; "
        "print([m for m in ('torch','transformers','onnxruntime','llguidance','numpy','av') if m in sys.modules])"
    )
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stderr


def test_the_openai_client_streams_a_chat(live: Live, gpt: FakeGpt) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=f"http://127.0.0.1:{live.port}/v1", api_key="any", max_retries=0)
    assert [model.id for model in client.models.list()] == ["frigo-mini", "qwen3-4b"]
    assert client.models.retrieve("qwen").id == "qwen3-4b"
    chunks = client.chat.completions.create(
        model="frigo-mini", messages=[{"role": "user", "content": "x"}], stream=True, max_tokens=4
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "é0 é1 é2 é3 "


def begun(live: Live, gpt: FakeGpt) -> tuple[str, Any]:
    """A conversation's address, and an answer of which two pieces were said."""
    gpt.permits = threading.Semaphore(2)
    conversation = f"/api/conversations/{json.load(live.request('POST', '/api/conversations', {}))['id']}"
    answer = live.request("POST", f"{conversation}/completions", {"content": "Bonjour", "max_tokens": 400})
    assert answer.status == 200
    until(lambda: kept(live, conversation)["content"] == "é0 é1 ")
    return conversation, answer


def kept(live: Live, conversation: str) -> dict[str, Any]:
    return dict(json.load(live.request("GET", conversation))["messages"][-1])


def test_an_answer_goes_on_without_its_reader_until_it_is_stopped(live: Live, gpt: FakeGpt) -> None:
    conversation, answer = begun(live, gpt)
    answer.close()
    assert gpt.permits is not None
    gpt.permits.release(2)
    until(lambda: kept(live, conversation)["content"] == "é0 é1 é2 é3 ")
    assert kept(live, conversation)["state"] == "writing"
    assert json.load(live.request("POST", f"{conversation}/stop", {})) == {"stopped": 1}
    until(lambda: kept(live, conversation)["state"] == "unfinished")
    gpt.permits.release(50)
    assert gpt.stream_closed.wait(30)
    assert kept(live, conversation)["content"] == "é0 é1 é2 é3 "


def test_a_killed_worker_loses_nothing_of_what_was_said(live: Live, gpt: FakeGpt) -> None:
    conversation, answer = begun(live, gpt)
    (worker,) = (one for one in psutil.Process(live.process.pid).children() if "gunicorn" in " ".join(one.cmdline()))
    worker.kill()
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    assert kept(live, conversation)["content"] == "é0 é1 "
    assert gpt.permits is not None
    gpt.permits.release(50)
