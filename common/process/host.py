"""The other end of `common.process.child`: holds a model and answers its parent until the pipe closes."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from common.errors import ApiError
from common.messages import _

_CALLS_AT_ONCE = 4
_OOM_SCORE = 800  # the system in need of memory takes this process rather than the service that can replace it
_log = logging.getLogger("frigo.models")
Emit = Callable[[Any], None]


class Hosted(Protocol):
    """What a process holds. `streams` start with an `emit` as last argument and return what cancels them."""

    facts: Any
    calls: dict[str, Callable[..., Any]]
    streams: dict[str, Callable[..., Callable[[], None]]]

    def close(self) -> None: ...


class Host:
    """Serves one parent over `fd`."""

    def __init__(self, fd: int) -> None:
        self._pipe = Connection(socket.socket(fileno=fd).detach())
        self._out: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._cancels: dict[int, Callable[[], None]] = {}
        self._cancelled: set[int] = set()
        self._lock = threading.Lock()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides: the pipe's end is this process's
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        threading.excepthook = self._thread_died
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), encoding="ascii")

    def run(self, make: Callable[[Any], Hosted]) -> None:
        """Load what the first message describes, then serve. Does not return."""
        threading.Thread(target=self._write, name="child-out", daemon=True).start()
        spec = self._receive()
        work: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(work,), name="child-in", daemon=True).start()
        try:
            hosted = make(spec)
        except BaseException as error:  # noqa: BLE001  the parent must know why, whatever it is
            self._out.put(("error", -1, _told(error)))
            self._leave(1)
        self._out.put(("result", -1, hosted.facts))
        with ThreadPoolExecutor(_CALLS_AT_ONCE, "child-call") as pool:
            while (message := work.get()) is not None:
                pool.submit(self._answer, hosted, *message)
            hosted.close()
        self._leave(0)

    def _receive(self) -> Any:
        """The parent's next message. A parent that is gone ends this process, wherever it is in its work."""
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            os._exit(0)

    def _listen(self, work: queue.SimpleQueue[Any]) -> None:
        while True:
            message = self._receive()
            if message[0] == "close":
                work.put(None)
            elif message[0] == "cancel":
                self._cancel(message[1])
            else:
                work.put(message)

    def _answer(self, hosted: Hosted, kind: str, number: int, method: str, args: tuple[Any, ...]) -> None:
        value = None
        try:
            if kind == "stream":
                self._start(hosted.streams[method], number, args)
            else:
                value = hosted.calls[method](*args)
        except Exception as error:  # noqa: BLE001  it belongs to the caller, on the other side
            self._out.put(("error", number, _told(error)))
        else:
            self._out.put(("result", number, value))

    def _start(self, method: Callable[..., Callable[[], None]], number: int, args: tuple[Any, ...]) -> None:
        def emit(item: Any) -> None:
            self._out.put((number, _told(item) if isinstance(item, BaseException) else item))

        cancel = method(*args, emit)
        with self._lock:
            if number not in self._cancelled:
                self._cancels[number] = cancel
                return
            self._cancelled.discard(number)
        cancel()

    def _cancel(self, number: int) -> None:
        with self._lock:
            cancel = self._cancels.pop(number, None)
            if cancel is None:
                self._cancelled.add(number)
        if cancel is not None:
            cancel()

    def _write(self) -> None:
        """Send what is ready; items that came meanwhile travel together."""
        while True:
            batch = [self._out.get()]
            while not self._out.empty():
                batch.append(self._out.get())
            items: list[Any] = []
            try:
                for message in batch:
                    if isinstance(message[0], int):
                        items.append(message)
                        continue
                    self._flush(items)
                    items = []
                    if message[0] == "leave":
                        os._exit(message[1])
                    self._pipe.send(message)
                self._flush(items)
            except OSError:
                os._exit(0)

    def _flush(self, items: list[Any]) -> None:
        if items:
            self._pipe.send(("items", items))

    def _thread_died(self, failure: threading.ExceptHookArgs) -> None:
        """A thread of the engine ended on a bug: the parent had better start it afresh."""
        _log.error("a thread of the engine died", exc_info=failure.exc_value)
        self._leave(1)

    def _leave(self, code: int) -> None:
        """End the process once everything said so far is sent; not one atexit hook of a heavy library is waited for."""
        self._out.put(("leave", code))
        threading.Event().wait()


def _told(error: BaseException) -> ApiError:
    """`error` as the parent may show it; what was not foreseen is logged here and told in general terms."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, MemoryError):
        return ApiError(507, "out_of_memory", _("La mémoire a manqué."))
    _log.error("engine failed", exc_info=error)
    kind = type(error).__name__
    return ApiError(
        500, "internal_error", _("Erreur inattendue (%(kind)s) ; le journal du service la décrit.", kind=kind)
    )
