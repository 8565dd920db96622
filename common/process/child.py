"""A model in a process of its own, as its parent sees it: calls, streams, its memory, and the news of its death.

A process is what gives memory back whole, what the system can kill without taking the service along, and what
leaves the service's own threads free while the model computes. `common.process.host` is the other end.

Both ends are this program's own and talk over an unnamed socket pair, with `multiprocessing.connection`'s pickles:
nothing from a user's file or from the network is ever unpickled. Messages, parent to child:

    ("call", id, method, args)      answered ("result", id, value) or ("error", id, error)
    ("stream", id, method, args)    answered as a call, then ("items", [(id, item), ...]) as they come
    ("cancel", id)                  the parent wants no more of a stream, ended or not
    ("close",)
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from common.errors import ApiError
from common.messages import Text, _
from common.process.death import Death

CALL_SECONDS = 120.0  # of any single call, so that nothing waits for ever on a child that hangs
CLOSE_SECONDS = 5.0
Item = Callable[[Any], None]
_ROOT = Path(__file__).resolve().parents[2]


def child_died(reason: Text) -> ApiError:
    """What a call gets when the process that served it is gone."""
    return ApiError(503, "engine_died", reason, headers={"Retry-After": "3"})


def child_stuck() -> ApiError:
    """What a call gets when the process that serves it gives no sign of life any more."""
    return ApiError(503, "engine_stuck", _("Le moteur ne répond plus."), headers={"Retry-After": "5"})


class Child:
    """Runs ``python -m MODULE FD`` and waits until what `spec` describes is loaded there; `facts` is what it says.

    `python` is the interpreter, of another environment where the model's libraries are, if need be.
    Raises the `ApiError` that the child refuses with, or 507 `engine_died` when it dies while loading.
    """

    def __init__(
        self,
        module: str,
        spec: Any,
        env: Mapping[str, str],
        *,
        load_seconds: float | None = None,
        python: str = sys.executable,
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [python, "-m", module, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": _path(), **env},
            )
        self._pipe = Connection(ours.detach())
        self._writing = threading.Lock()
        self._ids = itertools.count()
        self._lock = threading.Lock()
        self._calls: dict[int, Future[Any]] = {}
        self._streams: dict[int, Item] = {}
        self._closing = False
        self._death = Death()
        loaded: Future[Any] = Future()
        self._calls[-1] = loaded
        self._reader = threading.Thread(target=self._read, name=f"child-{self._process.pid}", daemon=True)
        self._reader.start()
        try:
            self._send(spec)
            self.facts = loaded.result(load_seconds)
        except ApiError as error:
            self.close()
            if error.code == "engine_died":
                raise ApiError(507, "engine_died", error.message) from error
            raise
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> Text | None:
        """Why the process is gone; None while it lives."""
        return self._death.reason

    def call(self, method: str, *args: Any, seconds: float = CALL_SECONDS) -> Any:
        """The result of `method`. Raises what it raises, 503 `engine_died`, or 503 `engine_stuck` in the end."""
        answer = self._ask("call", next(self._ids), method, args)
        try:
            return answer.result(seconds)
        except FutureTimeout as error:
            raise child_stuck() from error

    def stream(self, method: str, args: tuple[Any, ...], item: Item, last: Callable[[Any], bool]) -> Callable[[], None]:
        """Start `method`, whose items come to `item` from this object's thread until one is the `last`; gives what
        cancels it. Raises what the child refuses it with.
        """
        number = next(self._ids)

        def end() -> None:
            with self._lock:
                running = self._streams.pop(number, None) is not None
            if running:
                with contextlib.suppress(ApiError):
                    self._send(("cancel", number))

        def receive(value: Any) -> None:
            item(value)
            if last(value):
                end()

        with self._lock:
            self._streams[number] = receive
        try:
            self._ask("stream", number, method, args).result(CALL_SECONDS)
        except BaseException:
            with self._lock:
                self._streams.pop(number, None)
            raise
        return end

    def watch(self, died: Callable[[Text], None]) -> None:
        """Call `died(reason)` once, if the process ends without having been asked to."""
        self._death.watch(died)

    def memory_bytes(self) -> int:
        """Bytes that come back when the process and its own children end; 0 once it is gone.

        Pages of files (libraries, mapped weights) are not counted: they already count as free.
        """
        try:
            process = psutil.Process(self.pid)
            family = [process, *process.children(recursive=True)]
            held = [one.memory_info() for one in family]
            return sum(one.rss - one.shared for one in held)
        except psutil.Error:
            return 0

    def kill(self) -> None:
        """End a process that hangs. Its watchers hear of it, as of any death."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End the process, politely then not; its memory is back when this returns. May be called twice."""
        self._closing = True
        with contextlib.suppress(ApiError):
            self._send(("close",))
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if threading.current_thread() is not self._reader:
            self._reader.join(CLOSE_SECONDS)

    def _ask(self, kind: str, number: int, method: str, args: tuple[Any, ...]) -> Future[Any]:
        answer: Future[Any] = Future()
        with self._lock:
            self._calls[number] = answer
        try:
            self._send((kind, number, method, args))
        except ApiError:
            with self._lock:
                self._calls.pop(number, None)
            raise
        return answer

    def _send(self, message: Any) -> None:
        try:
            with self._writing:
                self._pipe.send(message)
        except OSError as error:
            raise child_died(self._death.reason or _("Le moteur s'est arrêté.")) from error

    def _read(self) -> None:
        try:
            while True:
                self._take(self._pipe.recv())
        except (EOFError, OSError):
            pass
        self._bury()

    def _take(self, message: Any) -> None:
        if message[0] == "items":
            for number, item in message[1]:
                receive = self._streams.get(number)
                if receive is not None:
                    receive(item)
            return
        kind, number, value = message
        with self._lock:
            answer = self._calls.pop(number, None)
        if answer is None:
            return
        if kind == "error":
            answer.set_exception(value)
        else:
            answer.set_result(value)

    def _bury(self) -> None:
        """The pipe is closed: everything that waits gets the reason, then the watchers."""
        try:
            code = self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        reason = _cause(code)
        tell = self._death.note(reason)
        with self._lock:
            calls, streams = list(self._calls.values()), list(self._streams.values())
            self._calls, self._streams = {}, {}
        self._pipe.close()
        for answer in calls:
            answer.set_exception(child_died(reason))
        for item in streams:
            item(child_died(reason))
        if not self._closing:
            tell()


def _path() -> str:
    """PYTHONPATH with this program first, wherever the service was started from."""
    return os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _cause(code: int) -> Text:
    """What an exit status tells a person."""
    if code == -signal.SIGKILL:
        return _("Le système a arrêté le moteur : la mémoire a sans doute manqué.")
    if code < 0:
        return _("Le moteur s'est arrêté brutalement (%(signal)s).", signal=signal.Signals(-code).name)
    return _("Le moteur s'est arrêté (code %(code)s).", code=code)
