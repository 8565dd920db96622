"""Server-sent events: unbuffered, kept alive by a ping, and stopped as soon as the reader leaves."""

from __future__ import annotations

import contextvars
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Response, request

from common.errors import ApiError
from common.messages import _
from common.web import context

PING_SECONDS = 15.0
_BUFFERED_EVENTS = 32
_END = object()
_log = logging.getLogger("frigo.web")

Event = str | bytes | dict[str, Any] | tuple[str, dict[str, Any]]


def encode(event: Event) -> bytes:
    """One event on the wire. dict: ``data: {json}``; (name, dict): with ``event: name``; bytes: as they are."""
    if isinstance(event, bytes):
        return event
    name, payload = event if isinstance(event, tuple) else ("", event)
    data = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    head = f"event: {name}\n" if name else ""
    body = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"{head}{body}\n".encode()


class _Pump:
    """Runs the producer in a thread of its own, so that silence can be filled with pings."""

    def __init__(self, events: Iterable[Event], on_close: Callable[[], None] | None) -> None:
        self._events = events
        self._on_close = on_close
        self._queue: queue.Queue[object] = queue.Queue(_BUFFERED_EVENTS)
        self._left = threading.Event()

    def _put(self, item: object) -> bool:
        while not self._left.is_set():
            try:
                self._queue.put(item, timeout=0.5)
            except queue.Full:
                continue
            return True
        return False

    def produce(self) -> None:
        try:
            for event in self._events:
                if not self._put(event):
                    break
            else:
                self._put(_END)
        except Exception as error:  # noqa: BLE001  handed to the reader's side, which reports it
            self._put(error)
        finally:
            close = getattr(self._events, "close", None)
            if close is not None:
                close()

    def consume(self, *, done: bool, ping_seconds: float) -> Iterator[bytes]:
        try:
            while True:
                try:
                    item = self._queue.get(timeout=ping_seconds)
                except queue.Empty:
                    yield b": ping\n\n"
                    continue
                if item is _END:
                    break
                if isinstance(item, Exception):
                    yield encode(_failure(item))
                    break
                yield encode(item)  # type: ignore[arg-type]  # only events, _END and exceptions are queued
            if done:
                yield b"data: [DONE]\n\n"
        finally:
            self._left.set()
            if self._on_close is not None:
                self._on_close()


def _failure(error: Exception) -> Event:
    if not isinstance(error, ApiError):
        _log.error("bug in a stream", exc_info=error)
        error = ApiError(500, "internal_error", _("Erreur interne pendant la réponse."))
    return ("error", error.body(context.language.get()))


def wants_events(*, asked: bool) -> bool:
    """Whether the request being served wants its answer by events: it `asked` for them, or accepts them first."""
    return asked or request.accept_mimetypes.best == "text/event-stream"


def sse(
    events: Iterable[Event],
    *,
    done: bool = False,
    on_close: Callable[[], None] | None = None,
    ping_seconds: float = PING_SECONDS,
) -> Response:
    """Stream `events`; `done` adds OpenAI's ``[DONE]``.

    `on_close` is called once, when the stream ends or the reader leaves: use it to cancel what feeds `events`.
    An error raised by `events` becomes a last event named ``error`` with the usual error body.
    """
    pump = _Pump(events, on_close)
    carried = contextvars.copy_context()
    threading.Thread(target=carried.run, args=(pump.produce,), name="sse", daemon=True).start()
    return _response(pump.consume(done=done, ping_seconds=ping_seconds))


def sse_polled(
    events: Iterable[Event | None],
    *,
    done: bool = False,
    on_close: Callable[[], None] | None = None,
    ping_seconds: float = PING_SECONDS,
) -> Response:
    """As `sse`, for `events` that give None every moment while nothing comes: no thread is needed in between."""
    response = _response(_paced(events, done=done, ping_seconds=ping_seconds))
    if on_close is not None:
        response.call_on_close(on_close)  # even when not one event was read
    return response


def _paced(events: Iterable[Event | None], *, done: bool, ping_seconds: float) -> Iterator[bytes]:
    sent = time.monotonic()
    try:
        for event in events:
            if event is not None:
                yield event if isinstance(event, bytes) else encode(event)
                sent = time.monotonic()
            elif time.monotonic() - sent >= ping_seconds:
                yield b": ping\n\n"
                sent = time.monotonic()
    except Exception as error:  # noqa: BLE001  the answer has begun: told as its last event
        yield encode(_failure(error))
    if done:
        yield b"data: [DONE]\n\n"


def _response(body: Iterator[bytes]) -> Response:
    response = Response(body, content_type="text/event-stream; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Cache-Control"] = "no-cache"
    return response
