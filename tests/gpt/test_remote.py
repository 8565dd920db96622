"""A model behind another OpenAI-compatible server: what goes there, what comes back, and what goes wrong."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from flask_openapi import OpenAPI
from prometheus_client import REGISTRY
from pydantic import SecretStr

from common.errors import ApiError
from common.messages import Text, _
from common.models.catalogue import Catalogue, ModelEntry
from common.models.registry import Registry, Selection
from gpt import factory
from gpt.engines.forwarding import ForwardingEngine
from gpt.engines.remote.address import AddressError, RemoteAddress, parse_address
from gpt.engines.remote.engine import FAILURES, RemoteEngine
from gpt.forwarded import Forwarded
from gpt.settings import GptSettings
from tests.gpt.conftest import wait_until
from tests.gpt.fake_upstream import USAGE, Upstream

FULL = "context_length_exceeded"
KEY = "sk-remote-0123456789abcdef"
http = urllib3.PoolManager(timeout=20, retries=False)
CHAT = {"messages": [{"role": "user", "content": "Bonjour"}]}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.stop()


class Gpt:
    """gpt on a real socket, whose only model is another server's."""

    def __init__(self, url: str, registry: Registry[Any]) -> None:
        self.url = url
        self.registry = registry

    def post(self, path: str, body: Any, **more: Any) -> urllib3.BaseHTTPResponse:
        return http.request("POST", f"{self.url}/v1{path}", json=body, **more)

    @property
    def users(self) -> int:
        slot = self.registry._ledger.chosen
        return slot.resident.users if slot.resident is not None else 0


@pytest.fixture
def start(serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Gpt]]:
    registries = []

    def begin(address: str, **more: Any) -> Gpt:
        settings = GptSettings(ia_use_gpu=False, ia_swap_wait_s=0, **more)
        entry = ModelEntry(key="far", family="", parameters=0, licence="", engine="remote", url=address)
        registry: Registry[Any] = Registry(
            Catalogue([entry]), factory.create_loader(settings), Selection("far", _("essai")), swap_wait_s=0
        )
        registry.start()
        wait_until(lambda: registry.state("far") in {"ready", "error"})
        registries.append(registry)
        return Gpt(serve(factory.create_app(settings, registry)), registry)

    yield begin
    for registry in registries:
        registry.close()


@pytest.fixture
def gpt(upstream: Upstream, start: Callable[..., Gpt]) -> Gpt:
    upstream.key = KEY
    return start(f"{upstream.url}/v1#qwen3:8b", ia_remote_api_key=SecretStr(KEY))


def read_lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Lines as soon as they are there."""
    rest = b""
    while piece := answer.read1():
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines


def tokens(kind: str) -> float:
    return REGISTRY.get_sample_value("frigo_gpt_tokens_total", {"model": "far", "kind": kind}) or 0.0


# --- what goes through ------------------------------------------------------------------------------------------


def test_an_answer_in_one_piece_is_the_server_s_byte_for_byte(gpt: Gpt, upstream: Upstream) -> None:
    before = tokens("prompt"), tokens("completion")
    answer = gpt.post("/chat/completions", {**CHAT, "model": "far"})
    assert answer.status == 200
    assert answer.data == upstream.sent
    assert answer.headers["Content-Type"] == "application/json"
    assert (tokens("prompt") - before[0], tokens("completion") - before[1]) == (11.0, 7.0)
    assert gpt.users == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_thoughts_have_one_name(gpt: Gpt, stream: bool, key: str) -> None:
    """vLLM's own is another; a text that speaks of it, and what is no text, are left alone."""
    thought, call = 'Le client écrit {"reasoning": "x"}, puis', '{"reasoning": "y"}'
    said = {key: thought, "tool_calls": [{"function": {"name": "f", "arguments": call}}], "top": {"reasoning": 1}}
    answer = gpt.post("/chat/completions", {**CHAT, "also_said": said, "chunks": 1, "stream": stream})
    data = answer.data.split(b"\n")[0].removeprefix(b"data: ") if stream else answer.data
    choice = json.loads(data)["choices"][0]
    told = choice["delta" if stream else "message"]
    assert told.pop("content")
    assert told == {"reasoning_content": thought, "tool_calls": said["tool_calls"], "top": {"reasoning": 1}}


def test_only_the_model_is_rewritten(gpt: Gpt, upstream: Upstream) -> None:
    body = {
        **CHAT,
        "model": "far",
        "temperature": 0.1,
        "seed": 12345678901234567,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"é": [1.5, None, True]}}}],
        "tool_choice": "required",
        "min_p": 0.05,
        "unheard_of": {"a": ["b"]},
    }
    assert gpt.post("/chat/completions", body).status == 200
    assert upstream.last == {**body, "model": "qwen3:8b"}
    assert upstream.paths[-1] == "/v1/chat/completions"


def test_a_request_that_names_no_model_gets_one(gpt: Gpt, upstream: Upstream) -> None:
    assert gpt.post("/completions", {"prompt": "Il était"}).status == 200
    assert upstream.last == {"prompt": "Il était", "model": "qwen3:8b"}
    assert upstream.paths[-1] == "/v1/completions"


def test_the_server_sees_its_own_key_and_not_the_caller_s(gpt: Gpt, upstream: Upstream) -> None:
    headers = {"Authorization": "Bearer the-caller-s", "X-Service-Token": "s", "X-Request-ID": "req_abc"}
    gpt.post("/chat/completions", CHAT, headers=headers)
    seen = upstream.headers[-1]
    assert seen["Authorization"] == f"Bearer {KEY}"
    assert seen["X-Request-ID"] == "req_abc"
    assert "the-caller-s" not in str(seen)
    assert "X-Service-Token" not in seen


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_stream_is_the_server_s_byte_for_byte(gpt: Gpt, upstream: Upstream, in_pieces: bool) -> None:
    before = tokens("prompt"), tokens("completion")
    body = {**CHAT, "stream": True, "chunks": 40, "stream_options": {"include_usage": True}, "in_pieces": in_pieces}
    answer = gpt.post("/chat/completions", body)
    assert answer.data == upstream.sent
    assert answer.data.endswith(b"data: [DONE]\n\n")
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert json.dumps(USAGE).encode() in answer.data
    assert (tokens("prompt") - before[0], tokens("completion") - before[1]) == (11.0, 7.0)
    assert gpt.users == 0


def test_a_stream_s_type_is_the_server_s(gpt: Gpt) -> None:
    for kind in ("text/event-stream", "text/event-stream;charset=UTF-8"):
        answer = gpt.post("/chat/completions", {**CHAT, "stream": True, "content_type": kind})
        assert answer.headers["Content-Type"] == kind


def test_a_token_is_passed_on_before_the_next_one_is_computed(gpt: Gpt, upstream: Upstream) -> None:
    body = {**CHAT, "stream": True, "chunks": 3, "paced": True}
    upstream.permits.release()  # WSGI sends the headers with the first bytes
    with gpt.post("/chat/completions", body, preload_content=False) as answer:
        lines = read_lines(answer)
        for number in range(3):
            event = json.loads(next(line for line in lines if line.startswith(b"data:"))[5:])
            assert event["choices"][0]["delta"]["content"] == f"é{number} "
            assert gpt.users == 1, "the model must not leave while it answers"
            upstream.permits.release()
        upstream.permits.release(2)
        assert list(lines)[-2:] == [b"data: [DONE]", b""]


def test_a_silence_is_told_between_two_events_only(upstream: Upstream) -> None:
    engine = RemoteEngine(parse_address(upstream.url))
    body = {**CHAT, "stream": True, "chunks": 2, "paced": True}
    answer = Forwarded("far", lambda: engine.forward("/chat/completions", body), ExitStack())
    answer.wait(lambda: False)
    events = answer.events(lambda: False)
    assert next(events) is None  # nothing was allowed yet
    upstream.permits.release(99)
    rest = [event for event in events if event]
    assert all(event.endswith((b"\n\n", b"\r\n\r\n")) for event in rest)
    assert b"".join(rest) == upstream.sent


def test_frigo_itself_can_be_the_server(
    llama_app: OpenAPI, serve: Callable[..., str], start: Callable[..., Gpt]
) -> None:
    far = serve(llama_app)
    gpt = start(far)  # no path, no name
    body = {**CHAT, "max_tokens": 12, "temperature": 0}
    direct = http.request("POST", f"{far}/v1/chat/completions", json=body).json()
    through = gpt.post("/chat/completions", body).json()
    assert through["choices"] == direct["choices"]
    assert through["usage"] == direct["usage"]
    streamed = gpt.post("/chat/completions", {**body, "stream": True}).data.decode()
    text = "".join(
        json.loads(line[5:])["choices"][0]["delta"].get("content") or ""
        for line in streamed.splitlines()
        if line.startswith("data: {")
    )
    assert text == direct["choices"][0]["message"]["content"]
    with gpt.registry.use() as lease:
        assert isinstance(lease.engine, ForwardingEngine)
        assert lease.engine.context == 256
    listed = http.request("GET", f"{gpt.url}/v1/models").json()["data"]
    assert [(card["id"], card["context"], card["state"]) for card in listed] == [("far", 256, "ready")]


# --- what goes wrong ---------------------------------------------------------------------------------------------


def refused(gpt: Gpt, fault: str, **more: Any) -> tuple[urllib3.BaseHTTPResponse, dict[str, Any]]:
    answer = gpt.post("/chat/completions", {**CHAT, "fault": fault, **more})
    return answer, answer.json()["error"]


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (400, '{"error": {"message": "too long", "code": "context_full", "param": "n"}}', "context_full", "too long"),
        (400, '{"error": {"message": "too long", "code": 400, "type": "Bad"}}', "invalid_request", "too long"),
        (400, '{"error": {"message": "The maximum context length is 512.", "code": 400}}', FULL, "512"),
        (400, '{"error": {"message": "too big", "code": 400, "type": "exceed_context_size_error"}}', FULL, "big"),
        (404, '{"error": "model \'x\' not found"}', "model_not_found", "model 'x' not found"),
        (422, '{"detail": "wrong shape"}', "invalid_request", "wrong shape"),
        (400, '{"object": "error", "message": "old vLLM", "code": 40303}', "invalid_request", "old vLLM"),
        (500, "<html>nginx</html>", "upstream_error", "a répondu 500"),
        (503, "", "upstream_overloaded", "a répondu 503"),
        (413, "[1]", "body_too_large", "a répondu 413"),
    ],
)  # fmt: skip
def test_a_refusal_keeps_its_status_and_is_an_openai_error(
    gpt: Gpt, status: int, body: str, code: str, message: str
) -> None:
    for stream in (False, True):
        answer, error = refused(gpt, f"status:{status}:application/json:{body}", stream=stream)
        assert (answer.status, error["code"]) == (status, code)
        assert message in error["message"]
        assert set(error) >= {"message", "type", "param", "code"}
    assert gpt.users == 0


def test_when_to_come_back_is_told(gpt: Gpt) -> None:
    text = '{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'
    answer, error = refused(gpt, f"status:429:application/json:{text}", answer_headers={"Retry-After": "17"})
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "17"
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_the_server_refuses_is_our_fault_and_is_not_shown(gpt: Gpt, status: int) -> None:
    text = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}})
    answer, error = refused(gpt, f"status:{status}:application/json:{text}")
    assert answer.status == 502
    assert error["code"] == "upstream_unauthorized"
    assert "IA_REMOTE_API_KEY" in error["message"]
    assert KEY not in answer.data.decode()


def test_a_key_in_a_refusal_is_hidden(gpt: Gpt) -> None:
    text = json.dumps({"error": {"message": f"quota of {KEY} is spent"}})
    answer, error = refused(gpt, f"status:429:application/json:{text}")
    assert error["message"] == "quota of … is spent"
    assert KEY not in answer.data.decode()


def test_an_answer_that_makes_no_sense_is_a_bad_gateway(gpt: Gpt) -> None:
    for fault in ("status:200:application/json:{oops", "status:200:text/html:<html>", "status:302:text/html:moved"):
        answer, error = refused(gpt, fault)
        assert (answer.status, error["code"]) == (502, "peer_error")


def test_a_stream_that_is_cut_says_so(gpt: Gpt) -> None:
    for fault in ("cut", "ends early"):
        answer = gpt.post("/chat/completions", {**CHAT, "stream": True, "chunks": 9, "fault": fault})
        assert answer.status == 200
        *whole, error, _end = answer.data.decode().split("\n\n")
        contents = [json.loads(event[5:])["choices"][0]["delta"]["content"] for event in whole]
        assert contents == ["é0 ", "é1 "], "whole events only"
        assert error.startswith("event: error\ndata: ")
        assert json.loads(error.split("data: ")[1])["error"]["code"] == "peer_broken"
        assert "[DONE]" not in answer.data.decode()
    assert gpt.users == 0


def test_a_server_that_hangs_is_given_up(upstream: Upstream) -> None:
    engine = RemoteEngine(parse_address(upstream.url), silence_seconds=0.3)
    for body in ({"fault": "hang"}, {"fault": "hang", "stream": True}):
        with pytest.raises(ApiError) as caught:
            engine.forward("/chat/completions", body)
        assert caught.value.status == 502
        assert upstream.reader_left.wait(30)
        upstream.reader_left.clear()


def test_a_server_that_is_gone_is_told_at_once(gpt: Gpt, upstream: Upstream) -> None:
    upstream.stop()
    answer, error = refused(gpt, "none")
    assert (answer.status, error["code"]) == (503, "peer_unavailable")
    assert answer.headers["Retry-After"]
    assert gpt.users == 0


# --- clients that leave ------------------------------------------------------------------------------------------


def leave(gpt: Gpt, body: dict[str, Any], until: Callable[[socket.socket], None]) -> None:
    """Send, then hang up once `until` returns."""
    where = urlsplit(gpt.url)
    with socket.create_connection((where.hostname, where.port), timeout=20) as sock:
        data = json.dumps(body).encode()
        head = f"Host: {where.netloc}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        sock.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}".encode() + data)
        until(sock)
        assert gpt.users == 1


def test_a_client_that_leaves_stops_the_server_within_a_token(gpt: Gpt, upstream: Upstream) -> None:
    def one_token(sock: socket.socket) -> None:
        upstream.permits.release()
        seen = b""
        while b"data: " not in seen:
            seen += sock.recv(4096)

    body = {**CHAT, "stream": True, "chunks": 1000, "paced": True}
    leave(gpt, body, one_token)
    wait_until(lambda: gpt.users == 0)
    upstream.permits.release()  # the server computes one token more, and sees that nobody is there
    assert upstream.reader_left.wait(30)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_the_answer_begins_stops_it(gpt: Gpt, upstream: Upstream, stream: bool) -> None:
    body = {**CHAT, "fault": "hang", "stream": stream}
    leave(gpt, body, lambda _connection: wait_until(upstream.entered.is_set))
    assert upstream.reader_left.wait(30)
    wait_until(lambda: gpt.users == 0)


# --- finding the model, losing the server --------------------------------------------------------------------------


def test_the_first_model_is_taken_when_none_is_named(upstream: Upstream) -> None:
    engine = RemoteEngine(RemoteAddress(f"{upstream.url}/v1"))
    assert (engine.model, engine.context) == ("qwen3:8b", 4096)
    assert [card["id"] for card in engine.models()] == ["qwen3:8b", "phi:latest"]


def test_a_name_without_its_tag_and_an_alias_are_found(upstream: Upstream) -> None:
    assert RemoteEngine(parse_address(f"{upstream.url}#phi")).model == "phi:latest"
    upstream.aliases.add("org/best")
    engine = RemoteEngine(parse_address(f"{upstream.url}#org/best"))
    assert (engine.model, engine.context) == ("org/best", 2048)


def test_a_model_that_is_not_there_is_refused_with_those_that_are(upstream: Upstream) -> None:
    with pytest.raises(ApiError) as caught:
        RemoteEngine(parse_address(f"{upstream.url}#gpt-9"))
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")
    assert "qwen3:8b, phi:latest" in str(caught.value.message)
    upstream.models = []
    with pytest.raises(ApiError) as caught:
        RemoteEngine(parse_address(upstream.url))
    assert caught.value.code == "model_not_found"


def test_what_is_no_openai_server_is_said(upstream: Upstream) -> None:
    upstream.models = None
    with pytest.raises(ApiError) as caught:
        RemoteEngine(parse_address(upstream.url))
    assert caught.value.code == "remote_unreachable"
    assert "compatible OpenAI" in str(caught.value.message)


def test_a_wrong_key_is_the_state_s_reason_and_is_nowhere_shown(
    upstream: Upstream, start: Callable[..., Gpt], caplog: pytest.LogCaptureFixture
) -> None:
    upstream.key = "another"
    with caplog.at_level(0):
        gpt = start(upstream.url, ia_remote_api_key=SecretStr(KEY))
    status = gpt.registry.status("far")
    assert status["state"] == "error"
    assert "IA_REMOTE_API_KEY" in status["error"]
    records = str([record.__dict__ for record in caplog.records])
    assert KEY not in records + str(status)


def test_a_server_that_comes_late_is_found(upstream: Upstream, start: Callable[..., Gpt], monkeypatch: Any) -> None:
    upstream.stop()
    gpt = start(upstream.url)
    status = gpt.registry.status("far")
    assert status["state"] == "error"
    assert upstream.url in status["error"]
    assert gpt.post("/chat/completions", CHAT).json()["error"]["code"] == "model_not_ready"
    upstream.start(upstream.port)
    gpt.registry._ledger.chosen.retry_at = 0.0  # half a minute later

    def served() -> bool:
        return gpt.post("/chat/completions", CHAT).status == 200

    wait_until(served)


def test_a_server_that_dies_is_noticed_once(upstream: Upstream) -> None:
    engine = RemoteEngine(parse_address(upstream.url), probe_seconds=0.02)
    reasons: list[Text] = []
    engine.watch(reasons.append)
    upstream.fails_every = 2
    wait_until(lambda: len(upstream.paths) > 4 * FAILURES)
    assert not reasons, "a failure now and then is no death"
    upstream.stop()
    wait_until(lambda: bool(reasons))
    assert upstream.url in str(reasons[0])
    time.sleep(0.1)
    assert len(reasons) == 1


def test_a_server_that_is_let_go_is_asked_no_more(upstream: Upstream) -> None:
    others = set(threading.enumerate())
    engine = RemoteEngine(parse_address(upstream.url), probe_seconds=0.02)
    reasons: list[Text] = []
    engine.watch(reasons.append)
    wait_until(lambda: len(upstream.paths) > 3)
    engine.close()
    wait_until(lambda: not any(one.name == "remote-watch" for one in set(threading.enumerate()) - others))
    assert not reasons


# --- addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "base", "model"),
    [
        ("http://host:8000", "http://host:8000/v1", None),
        ("http://host:8000/", "http://host:8000/v1", None),
        ("https://host/openai/v1/#meta/Llama-3", "https://host/openai/v1", "meta/Llama-3"),
        ("http://[::1]:11434#qwen3:8b", "http://[::1]:11434/v1", "qwen3:8b"),
        ("http://host/v1#a%20b", "http://host/v1", "a b"),
        ("http://host#", "http://host/v1", None),
    ],
)
def test_addresses(given: str, base: str, model: str | None) -> None:
    assert parse_address(given) == RemoteAddress(base, model)


@pytest.mark.parametrize(
    "given",
    [
        "ftp://host/v1",
        "http://",
        "http:///v1",
        "http://host:99999",
        "http://host:0",
        "http://user:secret@host/v1",
        "http://secret@host/v1",
        "http://host/v1?key=secret#m",
        "http://host/v1?#m",
        "http://host/a/../v1",
        "http://host/%2e%2e/v1",
        "http://one,http://two",
        "http://host\\@evil/v1",
        "http://host/v1\r\nX: y",
        "http://host/v1#a\x00b",
        "http://host/v1#a%0ab",
        "http://" + "a" * 3000,
    ],
)
def test_addresses_that_cannot_be_used_are_refused_without_their_secret(given: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(given)
    assert "secret" not in str(caught.value.reason)
