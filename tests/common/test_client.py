"""Service-to-service calls: traced, retried only when safe, and quick to say that a peer is down."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, Response, request
from pydantic import SecretStr

from common.errors import ApiError
from common.web import context, replicas
from common.web.client import Cancellation, Peer

Serve = Callable[..., str]


@pytest.fixture
def peer_app() -> Flask:
    app = Flask("peer")
    app.config["calls"] = 0

    @app.get("/echo")
    def echo() -> dict[str, str | None]:
        return {name: request.headers.get(name) for name in ("X-Request-ID", "Accept-Language", "X-Service-Token")}

    @app.post("/upload")
    def upload() -> dict[str, object]:
        file = request.files["file"]
        return {"name": file.filename, "bytes": len(file.read()), "language": request.form["language"]}

    @app.get("/refuse")
    def refuse() -> Response:
        body = '{"error": {"message": "non", "type": "t", "param": "p", "code": "no", "model": {"key": "k"}}}'
        return Response(body, status=503, content_type="application/json", headers={"Retry-After": "7"})

    @app.get("/html")
    def html() -> Response:
        return Response("<h1>boom</h1>", status=500)

    @app.get("/events")
    def events() -> Response:
        def produce() -> Iterator[str]:
            yield ': ping\n\nevent: progress\ndata: {"a":'
            yield " 1}\n\ndata: un\ndata: deux\n\n"

        return Response(produce(), content_type="text/event-stream")

    return app


def test_headers_are_carried(serve: Serve, peer_app: Flask) -> None:
    context.request_id.set("req-7")
    context.language.set("en")
    try:
        peer = Peer("gpt", serve(peer_app), service_token=SecretStr("s3cret"))
        seen = peer.request("GET", "/echo").json()
    finally:
        context.request_id.set("")
        context.language.set("fr")
    assert seen == {"X-Request-ID": "req-7", "Accept-Language": "en", "X-Service-Token": "s3cret"}


def test_files_are_streamed_as_multipart(serve: Serve, peer_app: Flask) -> None:
    peer = Peer("asr", serve(peer_app))
    content = io.BytesIO(b"x" * 300_000)
    fields = {"file": ('no"n.wav', content, "audio/wav"), "language": "fr"}
    assert peer.request("POST", "/upload", fields=fields).json() == {
        "name": 'no"n.wav',
        "bytes": 300_000,
        "language": "fr",
    }


def test_a_field_of_several_values_is_sent_as_often(serve: Serve) -> None:
    app = Flask(__name__)
    app.add_url_rule("/list", view_func=lambda: request.form.getlist("names[]"), methods=["POST"])
    fields = {"names[]": ["Anne", "Élie\r\n"], "file": ("a", io.BytesIO(b"x"), "audio/wav")}
    assert Peer("diarize", serve(app)).request("POST", "/list", fields=fields).json() == ["Anne", "Élie\r\n"]


def test_the_peers_error_is_passed_on(serve: Serve, peer_app: Flask) -> None:
    with pytest.raises(ApiError) as caught:
        Peer("gpt", serve(peer_app)).request("GET", "/refuse").raise_for_status()
    error = caught.value
    assert (error.status, error.code, error.param) == (503, "no", "p")
    assert error.extra == {"model": {"key": "k"}}
    assert error.headers["Retry-After"] == "7"


def test_an_error_that_is_not_ours_becomes_502(serve: Serve, peer_app: Flask) -> None:
    with pytest.raises(ApiError) as caught:
        Peer("gpt", serve(peer_app)).request("GET", "/html").raise_for_status()
    assert (caught.value.status, caught.value.code) == (502, "peer_error")
    assert "gpt" in str(caught.value.message)


def test_events_are_parsed_across_chunks(serve: Serve, peer_app: Flask) -> None:
    with Peer("asr", serve(peer_app)).stream("GET", "/events") as stream:
        assert list(stream.events()) == [("progress", '{"a": 1}'), ("message", "un\ndeux")]


def test_a_dead_peer_is_named_then_left_alone_then_found_again(
    serve: Serve, peer_app: Flask, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "COOL_DOWN_SECONDS", 600.0)
    peer = Peer("diarize", f"http://127.0.0.1:{free_port}")
    with pytest.raises(ApiError) as caught:
        peer.request("POST", "/echo", body=b"")
    assert (caught.value.status, caught.value.code) == (503, "peer_unavailable")
    assert caught.value.extra == {"service": "diarize"}
    serve(peer_app, free_port)
    with pytest.raises(ApiError):  # still cooling down
        peer.request("GET", "/echo")
    peer._replicas.all[0].dead_until -= 600.0  # ten minutes later
    assert peer.request("GET", "/echo").status == 200


def test_another_replica_answers_when_one_refuses(serve: Serve, peer_app: Flask, free_port: int) -> None:
    peer = Peer("gpt", f"http://127.0.0.1:{free_port}, {serve(peer_app)}")
    assert [peer.request("POST", "/refuse", body=b"x").status for _ in range(4)] == [405] * 4


def test_a_call_can_be_cancelled_before_its_answer_begins() -> None:
    """The peer reads the request and stays silent; its caller gives up and the peer sees it leave."""
    cancellation = Cancellation()
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = Peer("mute", f"http://127.0.0.1:{server.getsockname()[1]}")

        def serve_nobody() -> None:
            connection = server.accept()[0]
            connection.settimeout(10)
            with connection:
                seen.append(connection.recv(65536))
                cancellation.cancel()
                while block := connection.recv(65536):
                    seen.append(block)
            seen.append(b"left")

        thread = threading.Thread(target=serve_nobody, daemon=True)
        thread.start()
        with pytest.raises(ApiError) as caught, cancellation.covers():
            peer.request("POST", "/", json={})
        thread.join(30)
    assert caught.value.code == "peer_broken"
    assert seen[-1] == b"left"


def test_a_cancelled_call_leaves_the_next_one_alone(serve: Serve, peer_app: Flask) -> None:
    peer, cancellation = Peer("peer", serve(peer_app)), Cancellation()
    with cancellation.covers():
        peer.request("GET", "/echo")
    cancellation.cancel()
    assert peer.request("GET", "/echo").status == 200
