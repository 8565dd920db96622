"""Requests passed on to the services, byte for byte and as they come: /v1, conversations, audio, diagrams, minutes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import IO
from urllib.parse import quote

from flask import Flask, Response, request

from app.peers import Peers
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.client import Body, Peer, PeerStream
from common.web.leaving import CallerWatch
from common.web.sse import encode

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
NOT_FORWARDED = _HOP_BY_HOP | {
    "host",
    "cookie",
    "expect",
    "accept-encoding",
    "content-length",
    "origin",
    "referer",
    "x-admin-token",
    "x-request-id",
    "x-service-token",
}
_NOT_RETURNED = _HOP_BY_HOP | {"server", "date", "set-cookie", "x-accel-buffering", "x-request-id"}
SMALL_BODY = 256 * 1024


def install(app: Flask, peers: Peers) -> None:
    """Add the gateway's routes."""

    @app.route("/v1/<path:path>", methods=METHODS)
    def openai(path: str) -> Response:
        return forward(peers.public_chat, f"/v1/{_own(path)}", authorization=True)

    @app.route("/api/conversations", methods=METHODS, endpoint="gateway_conversations")
    @app.route("/api/conversations/<path:path>", methods=METHODS, endpoint="gateway_conversation")
    def conversations(path: str = "") -> Response:
        under = f"/{_own(path)}" if path else ""
        return forward(peers.public_chat, f"/api/conversations{under}", authorization=True)

    @app.get("/api/tools", endpoint="gateway_tools")
    def tools() -> Response:
        return forward(peers.chat, "/api/tools")

    to = {
        "/api/audio/transcribe": peers.asr,
        "/api/diarization/process": peers.diarize,
        "/api/diagrams": peers.chat,
        "/api/diagrams/validate": peers.chat,
        "/api/minutes": peers.chat,
    }

    @app.route("/api/diarization/voices", methods=["GET", "POST"], endpoint="gateway_voices")
    def voices() -> Response:
        return forward(peers.diarize, "/api/diarization/voices")

    @app.route("/api/diarization/voices/<voice_id>", methods=["DELETE"], endpoint="gateway_voice")
    def voice(voice_id: str) -> Response:
        if not voice_id.isalnum() or not voice_id.isascii():
            raise ApiError(404, "not_found", _("Cette adresse n'existe pas."))
        return forward(peers.diarize, f"/api/diarization/voices/{voice_id}")

    for rule, peer in to.items():

        def relay(rule: str = rule, peer: Peer = peer) -> Response:
            return forward(peer, rule)

        app.add_url_rule(rule, endpoint=f"gateway{rule.replace('/', '_')}", view_func=relay, methods=["POST"])


def _own(path: str) -> str:
    """`path` as it is sent, that leads nowhere else than under its address. Raises 404."""
    if any(part in ("", ".", "..") for part in path.split("/")) or "\\" in path:
        raise ApiError(404, "not_found", _("Cette adresse n'existe pas."))
    return quote(path, safe="/:@!$&'()*+,;=~")


def forward(peer: Peer, path: str, *, authorization: bool = False) -> Response:
    """Send the request being served to `peer`, and its answer back as it comes.

    The caller's credentials go along only when `authorization` is set. When the caller leaves, the call is closed.
    """
    dropped = NOT_FORWARDED if authorization else NOT_FORWARDED | {"authorization"}
    headers = {name: value for name, value in request.headers if name.lower() not in dropped}
    watcher = CallerWatch(request.environ)
    body = _body(headers, watcher)
    query = request.query_string.decode("latin-1")
    try:
        stream = peer.stream(request.method, f"{path}?{query}" if query else path, body=body, headers=headers)
    except BaseException:
        watcher.stop()
        raise
    return _answer(stream, watcher)


def _body(headers: dict[str, str], watcher: CallerWatch) -> Body | None:
    """A small body whole (it can then be sent to a second replica), a large one as a stream."""
    length = request.content_length
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    if not length and not chunked:
        watcher.start()
        return b"" if request.method != "GET" else None
    if length is not None and length <= SMALL_BODY:
        data = request.stream.read()
        watcher.start()
        return data
    if length is not None:
        headers["Content-Length"] = str(length)
    return _blocks(request.stream, watcher)


def _blocks(stream: IO[bytes], watcher: CallerWatch) -> Iterator[bytes]:
    while block := stream.read(64 * 1024):
        yield block
    watcher.start()


def _answer(stream: PeerStream, watcher: CallerWatch) -> Response:
    body = chunks(stream, watcher, events=is_events(stream))
    response = Response(body, status=stream.status, headers=returned_headers(stream))
    response.call_on_close(watcher.stop)
    response.call_on_close(stream.close)
    return response


def is_events(stream: PeerStream) -> bool:
    """Whether the answer is a stream of events."""
    return stream.headers.get("Content-Type", "").startswith("text/event-stream")


def returned_headers(stream: PeerStream) -> list[tuple[str, str]]:
    """The answer's headers but those of the hop; a proxy before us is told not to hold events back."""
    headers = [(name, value) for name, value in stream.headers.items() if name.lower() not in _NOT_RETURNED]
    return [*headers, ("X-Accel-Buffering", "no")] if is_events(stream) else headers


def chunks(stream: PeerStream, watcher: CallerWatch, *, events: bool) -> Generator[bytes, None, None]:
    """The answer as it comes; what breaks a stream of events is told as its last one."""
    try:
        yield from stream
    except ApiError as error:
        if not events:
            raise  # the connection is cut: the only honest sign, now, that the answer is not whole
        yield encode(("error", error.body(context.language.get())))
    finally:
        watcher.stop()
        stream.close()
