"""The real Mermaid parser, in one long-lived Node process that this module starts, bounds and restarts.

Its verdict is `valid` True or False when the parser answered, and None when it did not: missing, too slow, or killed
for memory. None is never to be read as valid.
"""

import json
import logging
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.diagrams.node import find_node
from common.messages import Text, _

log = logging.getLogger(__name__)

VALIDATOR = Path(__file__).parent / "validator" / "validator.mjs"
MAX_CHARS = 200_000
HEAP_MB = 512
START_TIMEOUT = 60.0  # 0.5 s on an idle machine
PARSE_TIMEOUT = 20.0  # 3-4 ms warm; the first diagram of a kind loads that kind's grammar
RETRY_START_AFTER = 30.0

KINDS = {
    "flowchart-v2": "flowchart",
    "flowchart-elk": "flowchart",
    "graph": "flowchart",
    "classDiagram": "class",
    "stateDiagram": "state",
}


@dataclass(frozen=True)
class Problem:
    """What the parser refused, in its own (English) words; `line` counts from 1, None when it named none."""

    line: int | None
    message: str


@dataclass(frozen=True)
class Verdict:
    valid: bool | None
    kind: str | None = None
    problem: Problem | None = None
    unknown: Text | None = None  # why `valid` is None


class _GoneError(Exception):
    """The process ended or closed its end."""


class MermaidParser:
    """One Node process, started at the first check; one diagram at a time. Safe for threads and for gevent."""

    def __init__(
        self,
        node: str | None = None,
        *,
        script: Path = VALIDATOR,
        max_chars: int = MAX_CHARS,
        heap_mb: int = HEAP_MB,
        parse_timeout: float = PARSE_TIMEOUT,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self._configured_node = node
        self._script = script
        self._max_chars = max_chars
        self._heap_mb = heap_mb
        self._parse_timeout = parse_timeout
        self._start_timeout = start_timeout
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: _Line | None = None
        self._asked = 0
        self._start_failed_at: float | None = None
        self.version: str | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def missing(self) -> Text | None:
        """Why there is no parser, without starting it; None when there should be one."""
        if not (self._script.parent / "node_modules" / "mermaid" / "package.json").is_file():
            return _("Le parseur Mermaid n'est pas installé (npm ci dans chat/diagrams/validator).")
        if find_node(self._configured_node) is None:
            return _("Node 20 ou plus récent est introuvable : le parseur Mermaid ne peut pas démarrer.")
        if self._start_failed_at is not None:
            return _("Le parseur Mermaid ne démarre pas.")
        return None

    def check(self, text: str) -> Verdict:
        """What Mermaid says of `text`."""
        if len(text) > self._max_chars:
            message = f"The diagram has {len(text)} characters; at most {self._max_chars} are read."
            return Verdict(False, problem=Problem(None, message))
        if not self._lock.acquire(timeout=self._start_timeout + 2 * self._parse_timeout):
            return Verdict(None, unknown=_("Le parseur Mermaid est occupé."))
        try:
            return self._check(text)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the process; a later check starts another."""
        with self._lock:
            self._stop()

    def _check(self, text: str) -> Verdict:
        for _attempt in range(2):  # the process may have died since the last call: once more on a fresh one
            unavailable = self._ensure_started()
            if unavailable is not None:
                return Verdict(None, unknown=unavailable)
            try:
                return _verdict(self._ask(text))
            except TimeoutError:
                self._stop()
                log.warning("mermaid parser stopped: no answer in %s s", self._parse_timeout)
                return Verdict(None, unknown=_("Le parseur Mermaid n'a pas répondu à temps sur ce diagramme."))
            except _GoneError:
                self._stop()
                log.warning("mermaid parser ended unexpectedly")
        return Verdict(None, unknown=_("Le parseur Mermaid s'est arrêté sur ce diagramme."))

    def _ask(self, text: str) -> dict[str, Any]:
        if self._line is None:
            raise _GoneError
        self._asked += 1
        self._line.send({"id": self._asked, "text": text}, self._parse_timeout)
        deadline = time.monotonic() + self._parse_timeout
        while True:
            answer = self._line.receive(deadline)
            if answer.get("id") == self._asked:
                return answer

    def _ensure_started(self) -> Text | None:
        """Start the process when there is none; why it cannot be had, or None."""
        if self._process is not None:
            return None
        if self._start_failed_at is not None and time.monotonic() - self._start_failed_at < RETRY_START_AFTER:
            return _("Le parseur Mermaid ne démarre pas.")
        self._start_failed_at = None
        reason = self.missing()
        if reason is not None:
            return reason
        try:
            self._start()
        except (OSError, _GoneError):  # TimeoutError is an OSError
            self._stop()
            self._start_failed_at = time.monotonic()
            log.exception("mermaid parser did not start")
            return _("Le parseur Mermaid ne démarre pas.")
        return None

    def _start(self) -> None:
        node = find_node(self._configured_node)
        ours, theirs = socket.socketpair()
        self._line = _Line(ours)
        with theirs:
            self._process = subprocess.Popen(
                [str(node), f"--max-old-space-size={self._heap_mb}", str(self._script)],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                cwd=self._script.parent,
                env={"NODE_ENV": "production"},  # none of the service's secrets
            )
        hello = self._line.receive(time.monotonic() + self._start_timeout)
        self.version = str(hello.get("version"))
        log.info("mermaid parser started", extra={"mermaid": self.version, "pid": self._process.pid})

    def _stop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class _Line:
    """JSON lines over a socket: timeouts come with it, in threads and under gevent alike."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pending = bytearray()

    def send(self, message: dict[str, Any], timeout: float) -> None:
        """Raises TimeoutError and _GoneError."""
        self._sock.settimeout(timeout)
        try:
            self._sock.sendall(json.dumps(message).encode() + b"\n")
        except TimeoutError:
            raise
        except OSError as gone:
            raise _GoneError from gone

    def receive(self, deadline: float) -> dict[str, Any]:
        """The next message; raises TimeoutError past the deadline (monotonic seconds) and _GoneError at the end."""
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            try:
                chunk = self._sock.recv(65536)
            except TimeoutError:
                raise
            except OSError as gone:
                raise _GoneError from gone
            if not chunk:
                raise _GoneError
            self._pending += chunk
        line, _newline, rest = bytes(self._pending).partition(b"\n")
        self._pending = bytearray(rest)
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        self._sock.close()


def _verdict(answer: dict[str, Any]) -> Verdict:
    kind = answer.get("kind")
    public = KINDS.get(kind, kind) if isinstance(kind, str) else None
    if answer.get("valid") is True:
        return Verdict(True, public)
    error = answer.get("error") or {}
    return Verdict(False, public, Problem(error.get("line"), str(error.get("message") or "")))
