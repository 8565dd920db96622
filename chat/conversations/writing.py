"""Answers being written, each by a thread of its own: a reader who leaves does not stop it, and may come back.

What is written goes to the database, which is where who comes back reads it (`chat.conversations.following`), whatever
process writes it. An answer whose message was stopped or deleted there, by any process, ends within a moment.
"""

from __future__ import annotations

import atexit
import contextvars
import logging
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Response

from chat.conversations.keeping import Keeper
from chat.conversations.reading import AnswerReader
from chat.conversations.store import ConversationStore
from common.errors import ApiError
from common.messages import _
from common.web import context

MOST_ALONE = 16
"""Answers, in one process, that go on without a reader; one more, and the one that was left first is stopped."""
MOST_SECONDS_ALONE = 900.0
_BUFFERED = 64
"""Events that a slow reader has not taken; then the model waits, as it does for any reader."""
_LAST_SECONDS = 2.0
"""For answers to be kept when the process ends."""
_END = object()
_log = logging.getLogger("frigo.conversations")

Ask = Callable[[], tuple[Response, int]]
"""Begins the answer; with how many messages were left out. Raises the refusal."""


class Writing:
    """The answer that is the message `message_id`; its reader is the request that began it."""

    def __init__(self, store: ConversationStore, conversation_id: str, message_id: str, ask: Ask) -> None:
        self.conversation_id = conversation_id
        self.message_id = message_id
        self.left_out = 0
        self.left_at: float | None = None
        """When its reader left, on the clock of `time.monotonic`."""
        self._store = store
        self._ask = ask
        self._said = AnswerReader()
        self._refusal: ApiError | None = None
        self._response: Response | None = None
        self._stopped = False
        self._written = False
        self._dropped = False
        self._begun = threading.Event()
        self._events: queue.Queue[Any] = queue.Queue(_BUFFERED)
        self._greenlet: Any = None
        self._keeper = Keeper(store, message_id, self._columns, self._watch)
        carried = contextvars.copy_context()
        self._thread = threading.Thread(target=carried.run, args=(self._run,), name="writing", daemon=True)

    def start(self) -> None:
        self._keeper.start()
        self._thread.start()

    def wait(self) -> None:
        """Until the answer begins. Raises its refusal, or 409 when it was stopped before."""
        self._begun.wait()
        if self._refusal is not None:
            raise self._refusal
        if self._dropped:
            raise ApiError(409, "answer_stopped", _("La réponse a été arrêtée avant de commencer."))

    def read(self) -> Iterator[bytes]:
        """The events as they come; once it ends, all is kept."""
        while (event := self._events.get()) is not _END:
            yield event

    def leave(self) -> None:
        """Nobody reads it any more."""
        if self.left_at is None:
            self.left_at = time.monotonic()

    def stop(self) -> None:
        """End it with what there is."""
        if self._stopped or self._written:
            return
        self._stopped = True
        if self._greenlet is not None:  # else its thread sees it at the next event
            self._greenlet.kill(block=False)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        self._greenlet = _this_greenlet()
        try:
            if not self._stopped:
                self._response, self.left_out = self._ask()
            if self._response is not None and not self._stopped:
                self._begun.set()
                self._write(self._response)
        except ApiError as error:
            self._refusal = error
        except BaseException:  # noqa: BLE001  a greenlet that is stopped, or a bug: it is told as its end
            if not self._stopped:
                _log.exception("bug in an answer")
                self._refusal = ApiError(500, "internal_error", _("Erreur interne pendant la réponse."))
        finally:
            self._written = True
            self._end()

    def _write(self, response: Response) -> None:
        for chunk in _bytes(response.response):
            for event in self._said.feed(chunk):
                self._keeper.touch()
                self._tell(event)
            if self._stopped:
                return

    def _end(self) -> None:
        begun = self._begun.is_set()
        try:
            if self._response is not None:
                self._response.close()
            self._keeper.finish(self._state)
            if not begun and (self._stopped or self.left_at is None):  # the question stays, to be asked again
                self._dropped = True
                self._store.drop(self.message_id)
        finally:
            self._begun.set()
            self._tell(_END)

    def _state(self) -> str:
        if self._said.failed or self._refusal is not None:
            return "failed"
        return "done" if self._said.ended else "unfinished"

    def _columns(self) -> dict[str, Any]:
        columns = {**self._said.columns(), "left_out": self.left_out}
        if self._refusal is not None:
            error = self._refusal.body(context.language.get())["error"]
            columns["error"] = {"message": error["message"], "code": error["code"]}
        return columns

    def _tell(self, event: Any) -> None:
        while self.left_at is None:
            try:
                self._events.put(event, timeout=0.5)
            except queue.Full:
                if self._stopped and event is not _END:
                    return
                continue
            return

    def _watch(self, *, there: bool) -> None:
        """Now and then; `there`: the message is still one that is being written."""
        alone = 0.0 if self.left_at is None else time.monotonic() - self.left_at
        if not there or alone > MOST_SECONDS_ALONE:
            self.stop()


class Writings:
    """Those of this process."""

    def __init__(self, store: ConversationStore) -> None:
        self._store = store
        self._running: list[Writing] = []
        self._lock = threading.Lock()
        _all.add(self)

    def start(self, conversation_id: str, message_id: str, ask: Ask) -> Writing:
        """Begin the answer that is kept in a message, in the context of the request at hand."""
        writing = Writing(self._store, conversation_id, message_id, ask)
        with self._lock:
            self._running = [one for one in self._running if one.alive]
            self._running.append(writing)
            writing.start()
        return writing

    def left(self, writing: Writing) -> None:
        """Its reader has left: it goes on alone, unless too many do already."""
        writing.leave()
        with self._lock:
            alone = [one for one in self._running if one.alive and one.left_at is not None]
            alone.sort(key=lambda one: one.left_at or 0.0)
        too_many = alone[: max(0, len(alone) - MOST_ALONE)]
        for one in too_many:
            one.stop()

    def stop(self, conversation_ids: Iterable[str] | None = None) -> list[Writing]:
        """End the answers of these conversations; None: all."""
        wanted = None if conversation_ids is None else set(conversation_ids)
        with self._lock:
            found = [one for one in self._running if one.alive and (wanted is None or one.conversation_id in wanted)]
        for one in found:
            one.stop()
        return found


_all: weakref.WeakSet[Writings] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    deadline = time.monotonic() + _LAST_SECONDS
    for writing in [one for writings in list(_all) for one in writings.stop()]:
        writing.join(max(0.0, deadline - time.monotonic()))


def _this_greenlet() -> Any:
    """The greenlet that runs, where gevent's take the place of threads; else None."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return None
    import gevent

    return gevent.getcurrent()


def _bytes(chunks: Iterable[str] | Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk.encode() if isinstance(chunk, str) else chunk
