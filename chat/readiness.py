"""What /ready says of chat: whether gpt can answer and the parser can judge. Asked at most every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from chat.diagrams.parser import MermaidParser
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.client import Peer

KEPT_SECONDS = 3.0
PROBE_TIMEOUT = 3.0


class Readiness:
    """Callable for `create_service(ready=…)`."""

    def __init__(self, gpt: Peer, parser: MermaidParser) -> None:
        self._gpt = gpt
        self._parser = parser
        self._lock = threading.Lock()
        self._known: tuple[float, str] = (0.0, "")

    def __call__(self) -> Mapping[str, str]:
        missing = self._parser.missing()
        parser = missing.render(context.language.get()) if missing is not None else "ready"
        return {"gpt": self._gpt_state(), "parser": parser}

    def _gpt_state(self) -> str:
        with self._lock:
            until, state = self._known
            if time.monotonic() >= until:
                state = self._ask()
                self._known = (time.monotonic() + KEPT_SECONDS, state)
            return state

    def _ask(self) -> str:
        try:
            answer = self._gpt.request("GET", "/ready", timeout=PROBE_TIMEOUT)
        except ApiError:
            return _("ne répond pas").render(context.language.get())
        if answer.status == 200:
            return "ready"
        try:
            components = answer.json().get("components", {})
        except (ApiError, AttributeError):
            components = {}
        waiting = [str(state) for state in components.values() if state != "ready"]
        return waiting[0] if waiting else "not_ready"
