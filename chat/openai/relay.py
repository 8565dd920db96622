"""An answer of a peer handed to the client as it comes: no parsing, no copy kept, no buffer between two chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from flask import Response

from chat.keys.account import Account
from chat.keys.usage import NOTHING, Usage
from chat.openai.metering import metered, usage_in
from common.errors import ApiError
from common.web import context
from common.web.client import PeerStream
from common.web.sse import encode

KEPT_HEADERS = (
    *("Content-Type", "Retry-After", "Content-Disposition", "X-RateLimit-Limit-Requests"),
    *("X-Frigo-Model", "X-Frigo-Warnings", "X-Frigo-Audio-Seconds"),
)
EVENT_STREAM = "text/event-stream"


class Observer(Protocol):
    """Sees an answer that is no error go by, as the peer says it (its usage too, even when its reader does not)."""

    def saw(self, data: bytes) -> None:
        """The next bytes, cut anywhere. Called before they are passed on: what takes long keeps the reader waiting."""

    def ended(self, *, whole: bool) -> None:
        """Once, after the last bytes; `whole`: the peer ended the answer, and nobody left before."""


def relay(
    stream: PeerStream,
    account: Account | None = None,
    *,
    hide_usage: bool = False,
    observer: Observer | None = None,
) -> Response:
    """The peer's status, type and bytes. An event stream is passed on chunk by chunk, anything else whole.

    What it used is counted for `account`; `hide_usage`: its reader did not ask to be told.
    """
    if stream.status >= 400:
        observer = None
    headers = {name: stream.headers[name] for name in KEPT_HEADERS if name in stream.headers}
    if not headers.get("Content-Type", "").startswith(EVENT_STREAM):
        with stream:
            data = stream.read().data
        if account is not None and stream.status < 400:
            account.count(usage_in(data) or _of_sound(headers))
        if observer is not None:
            observer.saw(data)
            observer.ended(whole=True)
        return Response(data, stream.status, headers)
    headers["X-Accel-Buffering"] = "no"
    headers["Cache-Control"] = "no-cache"
    chunks = _chunks(stream if observer is None else _observed(stream, observer), stream)
    if account is not None:
        chunks = metered(chunks, account, hide=hide_usage)
    response = Response(chunks, stream.status, headers)
    response.call_on_close(stream.close)
    return response


def _of_sound(headers: Mapping[str, str]) -> Usage:
    """What a text or subtitles, which have no place for it, say of their usage."""
    seconds = headers.get("X-Frigo-Audio-Seconds", "")
    return Usage(audio_seconds=float(seconds)) if seconds.isascii() and seconds.isdecimal() else NOTHING


def _observed(chunks: Iterable[bytes], observer: Observer) -> Iterator[bytes]:
    whole = False
    try:
        for chunk in chunks:
            observer.saw(chunk)
            yield chunk
        whole = True
    finally:
        observer.ended(whole=whole)


def _chunks(chunks: Iterable[bytes], stream: PeerStream) -> Iterator[bytes]:
    """The chunks until the peer ends; when the client leaves, the peer's connection is dropped, so that it stops."""
    try:
        yield from chunks
    except ApiError as error:  # the answer has begun: its end can only be told in the stream
        yield encode(("error", error.body(context.language.get())))
    finally:
        stream.close()
