"""What app passes on to the services, by the real gunicorn."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

from app.factory import create_app
from app.settings import AppSettings
from tests.app.fakes import SERVICE, Upstream, until

WAYS = pytest.mark.parametrize("way", ["/v1/slow", "/v1/chat/completions?slow"])
"""Through Flask, and by the short way (app.shortcut)."""


@pytest.fixture
def seen(upstream: tuple[Upstream, str]) -> Upstream:
    state = upstream[0]
    state.seen.clear()
    state.left.clear()
    while not state.tokens.empty():
        state.tokens.get()
    return state


@pytest.fixture
def call(gateway: str) -> Callable[..., Any]:
    pool = urllib3.PoolManager(retries=False, timeout=30)
    return lambda method, path, **given: pool.request(method, gateway + path, **given)


def test_a_call_of_the_api_reaches_chat_as_it_was_sent(call: Callable[..., Any], seen: Upstream) -> None:
    headers = {
        "Authorization": "Bearer sk-caller",
        "X-Request-ID": "abc-1",
        "Accept-Language": "en",
        "X-Service-Token": "stolen",
        "Cookie": "secret=1",
        "Content-Type": "application/json",
    }
    answer = call("POST", "/v1/chat/completions?a=1&a=2", body=b'{"x": "\xc3\xa9"}', headers=headers)
    assert (answer.status, answer.json()) == (200, {"received": 11})
    (got,) = seen.seen
    assert (got["path"], got["query"], got["method"]) == ("v1/chat/completions", "a=1&a=2", "POST")
    assert got["headers"]["authorization"] == "Bearer sk-caller"
    assert got["headers"]["x-request-id"] == "abc-1"
    assert got["headers"]["accept-language"] == "en"
    assert "x-service-token" not in got["headers"]
    assert "cookie" not in got["headers"]
    assert answer.headers["X-Request-ID"] == "abc-1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/conversations?q=%C3%A9t%C3%A9"),
        ("DELETE", "/api/conversations"),
        ("PATCH", "/api/conversations/conv_1"),
        ("POST", "/api/conversations/conv_1/completions"),
        ("GET", "/api/conversations/conv_1/export.md"),
    ],
)
def test_conversations_are_asked_of_chat_with_the_caller_s_key(
    method: str, path: str, call: Callable[..., Any], seen: Upstream
) -> None:
    headers = {"Authorization": "Bearer sk-caller", "X-Service-Token": "stolen"}
    assert call(method, path, headers=headers).status == 200
    (got,) = seen.seen
    assert (got["method"], "/" + got["path"]) == (method, path.partition("?")[0])
    assert got["query"] == path.partition("?")[2]
    assert got["headers"]["authorization"] == "Bearer sk-caller"
    assert "x-service-token" not in got["headers"]


def test_a_name_keeps_its_signs(call: Callable[..., Any], seen: Upstream) -> None:
    assert call("GET", "/v1/models/a%3Fb%23c%2541%20d?x=1").status == 200
    (got,) = seen.seen
    assert (got["path"], got["query"]) == ("v1/models/a?b#c%41 d", "x=1")


@pytest.mark.parametrize(
    "path", ["/api/diarization/process", "/api/diagrams", "/api/diagrams/validate", "/api/minutes"]
)
def test_calls_between_services_carry_the_service_token_and_not_the_caller_s(
    path: str, call: Callable[..., Any], seen: Upstream
) -> None:
    answer = call("POST", f"{path}?format=rttm", body=b"x" * 300_000, headers={"Authorization": "Bearer sk-caller"})
    assert answer.json() == {"received": 300_000}
    (got,) = seen.seen
    assert ("/" + got["path"], got["query"]) == (path, "format=rttm")
    assert got["headers"]["x-service-token"] == SERVICE
    assert "authorization" not in got["headers"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/diarization/voices"),
        ("POST", "/api/diarization/voices"),
        ("DELETE", "/api/diarization/voices/0a1b2c"),
    ],
)
def test_known_voices_are_diarize_s(method: str, path: str, call: Callable[..., Any], seen: Upstream) -> None:
    headers = {"Authorization": "Bearer sk-caller"}
    answer = call(method, path, headers=headers, **({"body": b"x" * 9} if method == "POST" else {}))
    assert answer.status == 200
    (got,) = seen.seen
    assert ("/" + got["path"], got["method"]) == (path, method)
    assert got["headers"]["x-service-token"] == SERVICE
    assert "authorization" not in got["headers"]


@pytest.mark.parametrize("voice", ["..", "%2e%2e", "a%2Fb", "a%5Cb", "a%3Fb", "é", "a.b"])
def test_no_voice_leads_elsewhere(voice: str, call: Callable[..., Any], seen: Upstream) -> None:
    assert call("DELETE", f"/api/diarization/voices/{voice}").status in (404, 405, 308)
    assert not seen.seen


def test_status_and_headers_come_back_without_those_of_the_hop(call: Callable[..., Any], seen: Upstream) -> None:
    answer = call("GET", "/v1/teapot")
    assert (answer.status, answer.headers["X-Upstream"]) == (418, "yes")
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/v1/../api/models", "/v1/%2e%2e/api/models", "/v1//x", "/v1/a/%2E%2E/b", "/v1/a%5Cb"]
)
def test_no_path_leads_out_of_v1(path: str, gateway: str, seen: Upstream) -> None:
    host, port = gateway.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status = sock.recv(100).split(b" ")[1]
    assert status in (b"404", b"308", b"400")
    assert not [got for got in seen.seen if not got["path"].startswith("v1/")]
    assert not seen.seen


@WAYS
def test_a_stream_comes_through_piece_by_piece(call: Callable[..., Any], seen: Upstream, way: str) -> None:
    seen.tokens.put(b"data: un\n\n")
    answer = call("POST", way, body=b"{}", preload_content=False)
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.read1() == b"data: un\n\n"
    seen.tokens.put(b"data: deux\n\n")
    assert answer.read1() == b"data: deux\n\n", "each piece arrives before the next one is sent"
    seen.tokens.put(None)
    assert answer.read() == b""


@WAYS
def test_a_caller_who_leaves_a_silent_stream_ends_the_call(gateway: str, seen: Upstream, way: str) -> None:
    host, port = gateway.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(f"POST {way} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        seen.tokens.put(b"data: un\n\n")
        got = b""
        while b"data: un" not in got:
            got += sock.recv(4096)
    left = time.monotonic()
    while not seen.left.wait(0.05):
        seen.tokens.put(b": ping\n\n")  # upstream notices at its first write after its reader left
        assert time.monotonic() - left < 60


@WAYS
def test_a_caller_who_leaves_before_the_answer_ends_the_call(
    upstream: tuple[Upstream, str], gateway: str, seen: Upstream, way: str
) -> None:
    host, port = gateway.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)), 10)
    sock.sendall(f"POST {way} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    until(lambda: seen.seen)
    sock.close()
    left = time.monotonic()
    while not seen.left.wait(0.05):
        seen.tokens.put(b": ping\n\n")
        assert time.monotonic() - left < 60


def test_a_large_upload_streams_through(call: Callable[..., Any], seen: Upstream) -> None:
    answer = call("POST", "/v1/audio/transcriptions", body=bytes(5 * 2**20))
    assert answer.json() == {"received": 5 * 2**20}
    chunks = (bytes(1024) for _ in range(1000))
    assert call("POST", "/v1/audio/transcriptions", body=chunks).json() == {"received": 1024_000}


def test_an_endless_upload_is_cut_at_the_limit(gateway: str, seen: Upstream) -> None:
    host, port = gateway.removeprefix("http://").split(":")
    sent = 0
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.settimeout(10)
        sock.sendall(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while sent < 200 * 2**20:
                sock.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                sent += 0x10000
        except OSError:
            pass
    assert sent < 100 * 2**20


def test_a_service_that_is_down_is_named(call: Callable[..., Any]) -> None:
    answer = call("POST", "/api/audio/transcribe", body=b"x", headers={"Accept-Language": "fr"})
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["service"]) == (503, "peer_unavailable", "asr")
    assert "asr" in error["message"]
    assert answer.headers["Retry-After"]


def test_methods_that_make_no_sense_are_refused(call: Callable[..., Any]) -> None:
    answer = call("GET", "/api/diagrams")
    assert answer.status == 405
    assert json.loads(answer.data)["error"]["code"] == "method_not_allowed"


def test_another_site_s_page_may_not_call(call: Callable[..., Any], seen: Upstream) -> None:
    answer = call("POST", "/v1/chat/completions", body=b"{}", headers={"Origin": "https://evil.example"})
    assert (answer.status, answer.json()["error"]["code"]) == (403, "cross_site")
    assert not seen.seen


def test_both_ways_answer_alike(call: Callable[..., Any], seen: Upstream) -> None:
    short = call("POST", "/v1/chat/completions", body=b"{}", headers={"X-Request-ID": "abc-2"})
    flask = call("POST", "/v1/elsewhere", body=b"{}", headers={"X-Request-ID": "abc-2"})
    assert [got["path"] for got in seen.seen] == ["v1/chat/completions", "v1/elsewhere"]
    assert seen.seen[0]["headers"] == seen.seen[1]["headers"]
    varying = {"date"}
    heads = [
        {name: value for name, value in one.headers.items() if name.lower() not in varying} for one in (short, flask)
    ]
    assert heads[0] == heads[1]
    assert short.json() == flask.json()


def test_the_short_way_leaves_refusals_and_errors_to_flask(tmp_path: Path, free_port: int) -> None:
    settings = AppSettings(
        data_dir=tmp_path, chat_api_url=f"http://127.0.0.1:{free_port}", allowed_hosts=["frigo.example"]
    )
    client = create_app(settings).test_client()
    asked_of: dict[str, Any] = {"base_url": "http://frigo.example"}

    def in_flight() -> float:
        told = client.get("/metrics", **asked_of).text
        return float(re.findall(r'^frigo_http_in_flight\{service="app"\} (.+)$', told, re.MULTILINE)[0])

    before = in_flight()  # what other tests of this process have not let go of counts too
    named = {"X-Request-ID": "abc-3", "Accept-Language": "en"}
    short = client.post("/v1/chat/completions", headers=named, json={}, **asked_of)
    flask = client.post("/v1/elsewhere", headers=named, json={}, **asked_of)
    for answer in (short, flask):
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "peer_unavailable")
        assert (answer.headers["X-Request-ID"], answer.headers["Retry-After"]) == ("abc-3", "3")
    assert short.json == flask.json
    assert client.post("/v1/chat/completions", json={}).status_code == 421
    for path in ("/v1/chat/completions", "/v1/elsewhere"):
        no_host = client.post(path, json={}, environ_overrides={"HTTP_HOST": "[x"})
        assert no_host.status_code in (400, 421)
    short = client.post("/v1/chat/completions", data=b"{}", environ_overrides={"CONTENT_LENGTH": "9"}, **asked_of)
    assert short.status_code == 400, "its sender left before it was whole"
    assert in_flight() <= before, "each of them was counted out again"


def test_what_all_workers_counted_is_told(call: Callable[..., Any], seen: Upstream) -> None:
    """gunicorn run by itself, as in a container: its settings give the workers a folder to count in."""
    assert call("GET", "/v1/elsewhere").status == 200
    assert seen.seen
    assert b'frigo_http_requests_total{method="GET",route="/v1/<path:path>"' in call("GET", "/metrics").data
