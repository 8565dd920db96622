"""An answer that another server computes, on its way to the client: its bytes, its silences, its end. One word is
another: what vLLM calls ``reasoning`` is ``reasoning_content`` here, as with the other engines.

A thread of its own talks to the server, so that the one that serves the client can notice that it left, fill a
silence with pings, and end the call at once, even before the answer has begun.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from common.errors import ApiError, client_left
from common.messages import _
from common.web.client import Cancellation, PeerStream
from gpt.job import POLL_SECONDS, Gone
from gpt.metrics import FIRST_TOKEN, TOKENS

MAX_ANSWER_BYTES = 64 * 2**20  # of an answer in one piece
MAX_EVENT_BYTES = 2**20  # an event longer than that is passed on in pieces
EVENT_STREAM = "text/event-stream"
_BUFFERED = 64  # chunks; then the server waits for the client
_TAIL = 16 * 1024  # where the last event with the usage is looked for
_REASONING = re.compile(rb'([{,]\s*)"reasoning"(\s*:\s*")')  # a key: inside a text, its quotes would be escaped
_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")

_END = object()


class Forwarded:
    """The answer of `call`, and the lease on the model, given back by `close`. `model` is for the metrics."""

    def __init__(self, model: str, call: Callable[[], PeerStream], lease: ExitStack) -> None:
        self._model = model
        self._call = call
        self._held = lease
        self._arrived: queue.Queue[Any] = queue.Queue(_BUFFERED)
        self._cancellation = Cancellation()
        self._stream: PeerStream | None = None
        self._closed = threading.Event()
        self._tail = b""
        self._began = time.monotonic()
        self.content_type = ""
        carried = contextvars.copy_context()
        threading.Thread(target=carried.run, args=(self._read,), name="forwarded", daemon=True).start()

    @property
    def streams(self) -> bool:
        """True when the answer is a stream of events."""
        return self.content_type.startswith(EVENT_STREAM)

    def wait(self, gone: Gone) -> None:
        """Wait for the answer's headers. Raises the server's refusal, 499 when the client leaves."""
        try:
            stream = self._next(gone)
            assert isinstance(stream, PeerStream)  # noqa: S101  the reader's first word, when it is no error
            self.content_type = stream.headers.get("Content-Type", "application/json")
        except BaseException:
            self.close()
            raise

    def whole(self, gone: Gone) -> bytes:
        """An answer in one piece, once it is known to be JSON. Raises 502 when it is none or is cut."""
        pieces, size = [], 0
        try:
            while (piece := self._next(gone)) is not _END:
                size += len(piece)
                if size > MAX_ANSWER_BYTES:
                    raise _senseless()
                pieces.append(piece)
            data = b"".join(pieces)
            try:
                usage = json.loads(data)["usage"]
            except (ValueError, TypeError) as error:
                raise _senseless() from error
            except KeyError:
                usage = None
            self._count(usage)
            return _named(data)
        finally:
            self.close()

    def events(self, gone: Gone) -> Iterator[bytes | None]:
        """The stream's own bytes, cut between two events; None every moment while nothing comes.

        Raises 502 when the server ends before the answer does: its last, unfinished event is left out.
        """
        rest, first = b"", True
        try:
            while (piece := self._next(gone, patient=False)) is not _END:
                if piece is None:
                    yield None
                    continue
                if first:
                    FIRST_TOKEN.labels(self._model).observe(time.monotonic() - self._began)
                    first = False
                self._tail = (self._tail + piece)[-_TAIL:]
                ready, rest = _whole_events(rest + piece)
                if ready:
                    yield _named(ready)
            if not _ended(self._tail):
                raise _cut()
            if rest:
                yield rest
        finally:
            self._count(_last_usage(self._tail))
            self.close()

    def close(self) -> None:
        """Drop the connection, which stops the server's work, and let the model go. May be called twice."""
        if not self._closed.is_set():
            self._closed.set()
            self._cancellation.cancel()
            if self._stream is not None:
                self._stream.close()
        self._held.close()

    def _next(self, gone: Gone, *, patient: bool = True) -> Any:
        """What the reader gives next; None when nothing came for `POLL_SECONDS` and the caller is not `patient`."""
        while True:
            try:
                item = self._arrived.get(timeout=POLL_SECONDS)
            except queue.Empty:
                item = None
            if gone():
                raise client_left()
            if isinstance(item, Exception):
                raise item
            if item is not None or not patient:
                return item

    def _read(self) -> None:
        """The thread that talks to the server."""
        try:
            with self._cancellation.covers():
                stream = self._call()
            self._stream = stream
            with stream:
                if self._closed.is_set():  # while the headers came
                    return
                self._put(stream)
                for piece in stream:
                    if not self._put(piece):
                        return
            self._put(_END)
        except Exception as error:  # noqa: BLE001  handed to the thread that serves the client
            self._put(error)

    def _put(self, item: Any) -> bool:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._arrived.put(item, timeout=POLL_SECONDS)
                return True
        return False

    def _count(self, usage: Any) -> None:
        """Add the server's own counts to the metrics, when it gave any."""
        if not isinstance(usage, dict):
            return
        for kind, name in (("prompt", "prompt_tokens"), ("completion", "completion_tokens")):
            count = usage.get(name)
            if isinstance(count, int) and not isinstance(count, bool) and count > 0:
                TOKENS.labels(self._model, kind).inc(count)


def _named(data: bytes) -> bytes:
    """Thoughts under the house's name; a server that already uses it is left alone."""
    if b'"reasoning"' not in data or b'"reasoning_content"' in data:
        return data
    return _REASONING.sub(rb'\1"reasoning_content"\2', data)


def _whole_events(data: bytes) -> tuple[bytes, bytes]:
    """What can be passed on, and what waits for the end of its event, so that a ping never lands inside one."""
    end = 0
    for found in _BOUNDARY.finditer(data):
        end = found.end()
    if end == 0 and len(data) > MAX_EVENT_BYTES:
        return data, b""
    return data[:end], data[end:]


def _payloads(tail: bytes) -> Iterator[bytes]:
    """The data of the last events, the last first."""
    for line in reversed(tail.splitlines()):
        if line.startswith(b"data:"):
            yield line[5:].strip()


def _ended(tail: bytes) -> bool:
    """True when the stream said that it was done, in OpenAI's way or with a reason for its end."""
    for data in _payloads(tail):
        if data == b"[DONE]":
            return True
        if re.search(rb'"finish_reason"\s*:\s*"', data) or b'"error"' in data:
            return True
    return False


def _last_usage(tail: bytes) -> Any:
    for data in _payloads(tail):
        if b'"usage"' in data:
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                return json.loads(data).get("usage")
    return None


def _senseless() -> ApiError:
    return ApiError(502, "peer_error", _("Le serveur du modèle n'a pas répondu en JSON."))


def _cut() -> ApiError:
    return ApiError(502, "peer_broken", _("Le serveur du modèle a coupé sa réponse."))
