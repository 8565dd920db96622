"""A server process under supervision: its log, its readiness, its death, its memory, its end."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import psutil

from common.errors import ApiError
from common.messages import Text, _
from common.process.death import Death
from gpt.engines.vllm import keeper
from gpt.engines.vllm.diagnosis import Cause, cause_of, scrub, tail

KEPT_LINES = 300
POLL_SECONDS = 0.2
GRACE_SECONDS = 8.0  # to stop by itself, then it is killed
_LINE_BYTES = 4000
# What a server that only computes must not know of this service.
_SECRET_NAMES = re.compile(r"TOKEN|KEY|SECRET|PASSWORD|DATABASE_URL|REDIS_URL", re.I)
_PRIVATE_NAMES = frozenset(
    {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PORT", "VLLM_PYTHON", "VLLM_ARGS", "VLLM_RAY_ADDRESS"}
)
_log = logging.getLogger("frigo.vllm")


class ServerDiedError(Exception):
    """The process ended; `cause` says why, and `tail` is the end of its log, fit to be shown."""

    def __init__(self, cause: Cause, log: str) -> None:
        super().__init__(f"{cause.kind}: {log}")
        self.cause = cause
        self.tail = log


class ServerProcess:
    """Runs `command` with `variables` added to this process's environment (less its secrets), in an empty folder.

    `hidden` is what must not be shown of its log, with what is shown instead.
    """

    def __init__(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        hidden: Mapping[str, str],
        *,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._grace = grace_seconds
        self._hidden = dict(hidden)
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._closing = False
        self._death = Death()
        self._folder = tempfile.TemporaryDirectory(prefix="frigo-vllm-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(keeper.__file__)), str(grace_seconds), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(os.environ, variables),
            cwd=self._folder.name,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101  asked for above
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), name="vllm-log", daemon=True)
        self._reader.start()
        threading.Thread(target=self._bury, name="vllm-watch", daemon=True).start()

    @property
    def pid(self) -> int:
        """The keeper's process id; the server and all it starts come from it."""
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait for `ready()`. Raises `ServerDiedError` as soon as the process ends, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            if self._process.poll() is not None:
                raise self.died()
            if ready():
                return
            if time.monotonic() > deadline:
                text = _("pas prêt après %(seconds)s secondes.", seconds=int(seconds))
                raise ServerDiedError(Cause("slow", 503, "engine_failed", text), tail(list(self._lines), self._hidden))
            time.sleep(POLL_SECONDS)

    def died(self) -> ServerDiedError:
        """What its log and its exit status tell, once it has ended."""
        self._reader.join(2)  # the last lines are often the ones that tell
        lines = list(self._lines)
        cause = cause_of(lines, self._process.poll())
        return ServerDiedError(replace(cause, line=scrub(cause.line, self._hidden)), tail(lines, self._hidden))

    def watch(self, died: Callable[[Text], None]) -> None:
        """Call `died(reason)` once, when the process ends without having been asked to; at once if it has."""
        self._death.watch(died)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def memory_bytes(self) -> int:
        """Resident memory of the server and of all it started, in bytes; 0 once it is gone."""
        try:
            keeper_process = psutil.Process(self.pid)
            return sum(one.memory_info().rss for one in [keeper_process, *keeper_process.children(recursive=True)])
        except psutil.Error:
            return 0

    def close(self) -> None:
        """End it and all it started: memory is back when this returns. May be called twice, from any thread."""
        self._closing = True
        assert self._process.stdin is not None  # noqa: S101  asked for in the constructor
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(self._grace + 5)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._folder.cleanup()

    def _read(self, stream: IO[bytes]) -> None:
        """Keep the log's end, so that the pipe never fills."""
        with stream:
            while line := stream.readline(_LINE_BYTES):
                text = line.decode("utf-8", "replace").rstrip("\n")
                self._lines.append(text)
                _log.debug("vllm", extra={"line": text})

    def _bury(self) -> None:
        self._process.wait()
        told = self.died()
        tell = self._death.note(_("vLLM s'est arrêté : %(cause)s", cause=told.cause.text))
        if self._closing:
            return
        _log.error("vllm ended", extra={"cause": told.cause.kind, "log": told.tail})
        tell()


def environment(given: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """`given` without secrets nor this service's own Python settings, and `variables`."""
    kept = {
        name: value
        for name, value in given.items()
        if not _SECRET_NAMES.search(name) and name not in _PRIVATE_NAMES and not name.startswith(("IA_", "GUNICORN"))
    }
    return {**kept, **variables}


def failed(error: ServerDiedError) -> ApiError:
    """The error of a load that ended with the server."""
    message = _(
        "vLLM n'a pas démarré : %(cause)s\n%(line)s\nFin de son journal :\n%(log)s",
        cause=error.cause.text,
        line=error.cause.line,
        log=error.tail or "–",
    )
    return ApiError(error.cause.status, error.cause.code, message, "model")
