"""A model behind any OpenAI-compatible server: Ollama, llama-server, vLLM on a rented GPU, another Frigo."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from common.errors import ApiError
from common.messages import Text, _
from common.web.client import PeerStream
from gpt.engines.remote.address import RemoteAddress
from gpt.engines.upstream import SILENCE_SECONDS, Upstream

ASK_SECONDS = 10.0  # for the list of models
PROBE_SECONDS = 15.0  # between two questions to a server that is in use
FAILURES = 3  # in a row, then the server is said to be gone
_CONTEXTS = ("max_model_len", "context_length", "context", "max_context_length", "context_window")  # vLLM, others…


class RemoteEngine:
    """Forwards to the server at `address`. Raises 503 `remote_unreachable` with the reason, 404 `model_not_found`
    with the server's own list when it has no such model."""

    name = "remote"

    def __init__(
        self,
        address: RemoteAddress,
        key: SecretStr | None = None,
        *,
        silence_seconds: float = SILENCE_SECONDS,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        self._address = address
        self._upstream = Upstream(address.host, address.base, key, silence_seconds=silence_seconds)
        self._probe_seconds = probe_seconds
        self._closed = threading.Event()
        try:
            card = self._find()
        except ApiError as error:
            if error.status == 404 and error.code == "model_not_found" and error.param == "model":
                raise
            reason = _("%(url)s ne peut pas servir : %(reason)s", url=address.base, reason=error.message)
            raise ApiError(503, "remote_unreachable", reason, "model", headers={"Retry-After": "10"}) from error
        self.model: str = card["id"]
        self.context = next((card[name] for name in _CONTEXTS if _is_count(card.get(name))), 0)

    def forward(self, path: str, payload: Mapping[str, Any], adapter: str | None = None) -> PeerStream:
        """See `ForwardingEngine`."""
        return self._upstream.stream(path, {**payload, "model": adapter or self.model})

    def models(self) -> list[dict[str, Any]]:
        """See `ForwardingEngine`."""
        return self._upstream.models(timeout=ASK_SECONDS)

    def watch(self, died: Callable[[Text], None]) -> None:
        """Ask the server now and then whether it is there; `died` once it failed `FAILURES` times in a row."""
        threading.Thread(target=self._watch, args=(died,), name="remote-watch", daemon=True).start()

    def close(self) -> None:
        """Stop asking; the server is not ours to end."""
        self._closed.set()

    def _watch(self, died: Callable[[Text], None]) -> None:
        failures = 0
        while not self._closed.wait(self._probe_seconds):
            try:
                self.models()
                failures = 0
            except ApiError as error:
                failures += 1
                if failures >= FAILURES and not self._closed.is_set():
                    died(_("%(url)s ne répond plus : %(reason)s", url=self._address.base, reason=error.message))
                    return

    def _find(self) -> dict[str, Any]:
        """The server's card of the wanted model, or of its first one."""
        listed = self.models()
        wanted = self._address.model
        if wanted is None:
            if not listed:
                raise ApiError(404, "model_not_found", _("%(url)s n'a aucun modèle.", url=self._address.base), "model")
            return listed[0]
        for name in (wanted, f"{wanted}:latest"):  # Ollama's name of a name without a tag
            for card in listed:
                if card["id"] == name:
                    return card
        return self._ask_for(wanted, [card["id"] for card in listed])

    def _ask_for(self, wanted: str, listed: list[str]) -> dict[str, Any]:
        """A model that is not in the list: aliases often are not. Raises 404 with the list."""
        answer = self._upstream.get(f"/models/{quote(wanted, safe='/:')}", timeout=ASK_SECONDS)
        if answer.status == 200:
            return {**_object(answer.data), "id": wanted}
        message = _(
            "%(url)s n'a pas de modèle « %(model)s ». Il a : %(known)s.",
            url=self._address.base,
            model=wanted,
            known=", ".join(listed[:50]) or "–",
        )
        raise ApiError(404, "model_not_found", message, "model")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
