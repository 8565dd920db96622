"""An answer of a peer handed to the client as it comes: no parsing, no copy kept, no buffer between two chunks."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response

from common.errors import ApiError
from common.web import context
from common.web.client import PeerStream
from common.web.sse import encode

KEPT_HEADERS = (
    *("Content-Type", "Retry-After", "Content-Disposition", "X-RateLimit-Limit-Requests"),
    *("X-Frigo-Model", "X-Frigo-Warnings"),
)
EVENT_STREAM = "text/event-stream"


def relay(stream: PeerStream) -> Response:
    """The peer's status, type and bytes. An event stream is passed on chunk by chunk, anything else whole."""
    headers = {name: stream.headers[name] for name in KEPT_HEADERS if name in stream.headers}
    if not headers.get("Content-Type", "").startswith(EVENT_STREAM):
        with stream:
            return Response(stream.read().data, stream.status, headers)
    headers["X-Accel-Buffering"] = "no"
    headers["Cache-Control"] = "no-cache"
    response = Response(_chunks(stream), stream.status, headers)
    response.call_on_close(stream.close)
    return response


def _chunks(stream: PeerStream) -> Iterator[bytes]:
    """The chunks until the peer ends; when the client leaves, the peer's connection is dropped, so that it stops."""
    try:
        yield from stream
    except ApiError as error:  # the answer has begun: its end can only be told in the stream
        yield encode(("error", error.body(context.language.get())))
    finally:
        stream.close()
