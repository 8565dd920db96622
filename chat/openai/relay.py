"""An answer of a peer handed to the client as it comes: no parsing, no copy kept, no buffer between two chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flask import Response, request

from chat.openai.leaving import client_left
from common.web.client import PeerStream

KEPT_HEADERS = ("Content-Type", "Retry-After", "Content-Disposition", "X-RateLimit-Limit-Requests")
EVENT_STREAM = "text/event-stream"


def relay(stream: PeerStream) -> Response:
    """The peer's status, type and bytes. An event stream is passed on chunk by chunk, anything else whole."""
    headers = {name: stream.headers[name] for name in KEPT_HEADERS if name in stream.headers}
    if not headers.get("Content-Type", "").startswith(EVENT_STREAM):
        with stream:
            return Response(stream.read().data, stream.status, headers)
    headers["X-Accel-Buffering"] = "no"
    headers["Cache-Control"] = "no-cache"
    response = Response(_chunks(stream, client_left(request.environ)), stream.status, headers)
    response.call_on_close(stream.close)
    return response


def _chunks(stream: PeerStream, left: Callable[[], bool]) -> Iterator[bytes]:
    """The chunks, until the peer ends or the client leaves; then the peer's connection is dropped, so it stops."""
    try:
        for chunk in stream:
            if left():
                return
            yield chunk
    finally:
        stream.close()
