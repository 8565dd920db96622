"""gpt as chat's own work (diagrams, minutes) sees it: which model will answer, and its whole answer to messages."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from chat.keys import account
from chat.keys.usage import usage_of
from common.errors import ApiError
from common.messages import _
from common.web.client import Peer

DEFAULT = "default"
KEPT_SECONDS = 3.0
KEPT_NAMES = 1000
UNKNOWN_CONTEXT = 2048
MOST_NAME = 500
"""Characters of a model's name, as gpt has it."""


@dataclass(frozen=True)
class Model:
    """A model of gpt's. `context` counts tokens, prompt and answer together."""

    id: str
    embedded: bool
    context: int


@dataclass(frozen=True)
class Answer:
    """What the model wrote; `cut` when it had no room left to end. `prompt_tokens` as the tokenizer counted them."""

    text: str
    model: str
    cut: bool
    prompt_tokens: int = 0


class LanguageModel:
    """One instance per worker."""

    def __init__(self, gpt: Peer) -> None:
        self._gpt = gpt
        self._known: tuple[float, list[dict[str, Any]]] = (0.0, [])
        self._unknown: dict[str, float] = {}

    def model(self, name: str | None) -> Model:
        """The model that `name` designates; none or "default": the one gpt would answer with now.

        Raises `ApiError` 404 `model_not_found`, 503 `peer_unavailable`, 403 when the caller's key does not allow it.
        """
        entry = self.entry(name)
        if (holder := account.current.get()) is not None:
            holder.check_model(entry["id"], lambda: names_of(entry))
        return _model(entry)

    def context(self, name: str | None) -> int:
        """Tokens that the model `name` designates holds. As `model`, without a look at the key."""
        return _model(self.entry(name)).context

    def entry(self, name: str | None) -> dict[str, Any]:
        """As gpt's /v1/models shows the model that `name` designates. As `model`, without a look at the key."""
        entries = self._entries()
        if name is not None and not is_default(name):
            return self._named(name, entries)
        entry = self._serving(entries)
        if entry is None:
            raise ApiError(503, "model_not_ready", _("Aucun modèle de langue n'est prêt."), "model")
        return entry

    def knows(self, name: str) -> bool:
        """Whether gpt has a model of that name, here or to be fetched."""
        now = time.monotonic()
        if self._unknown.get(name, 0.0) > now:
            return False
        try:
            self.entry(name)
        except ApiError as error:
            if error.status != 404:
                raise
            if len(self._unknown) >= KEPT_NAMES:
                self._unknown.clear()
            self._unknown[name] = now + KEPT_SECONDS
            return False
        return True

    def names(self, name: str | None) -> list[str]:
        """The id, then the aliases, of the model that `name` designates. As `model`."""
        return names_of(self.entry(name))

    def entries(self) -> list[dict[str, Any]]:
        """What gpt's /v1/models lists, at most `KEPT_SECONDS` old."""
        return list(self._entries())

    def complete(self, body: dict[str, Any]) -> Answer:
        """One chat completion, not streamed. Raises gpt's own errors.

        An engine that cannot impose `response_format` is asked again without it: the instructions say it too.
        """
        try:
            return self._complete(body)
        except ApiError as error:
            if error.status != 400 or error.param != "response_format" or "response_format" not in body:
                raise
        return self._complete({key: value for key, value in body.items() if key != "response_format"})

    def _complete(self, body: dict[str, Any]) -> Answer:
        response = self._gpt.request("POST", "/v1/chat/completions", json={**body, "stream": False}, again=True)
        answer = response.raise_for_status().json()
        if (holder := account.current.get()) is not None:
            holder.count(usage_of(answer))
        try:
            choice = answer["choices"][0]
            text = str(choice["message"].get("content") or "")
            cut = choice.get("finish_reason") == "length"
            read = int((answer.get("usage") or {}).get("prompt_tokens") or 0)
            return Answer(text, str(answer.get("model") or body.get("model")), cut, read)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            message = _("Le service %(service)s a donné une réponse inattendue.", service=self._gpt.name)
            raise ApiError(502, "peer_error", message) from error

    def _entries(self) -> list[dict[str, Any]]:
        until, entries = self._known
        if time.monotonic() < until:
            return entries
        listed = self._gpt.request("GET", "/v1/models", timeout=10).raise_for_status().json()
        entries = [entry for entry in listed.get("data", []) if isinstance(entry, dict) and "id" in entry]
        self._known = (time.monotonic() + KEPT_SECONDS, entries)
        return entries

    def _named(self, name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
        wanted = name.lower()
        for entry in entries:
            if wanted in {known.lower() for known in names_of(entry)}:
                return entry
        found: dict[str, Any] = self._gpt.request("GET", model_address(name), timeout=10).raise_for_status().json()
        return found

    def _serving(self, entries: list[dict[str, Any]]) -> dict[str, Any] | None:
        """gpt's choice at start when it is ready, else any that is, else what is on its way."""
        ready = [entry for entry in entries if entry.get("state", "ready") == "ready"]
        if len(ready) > 1 and "state" in ready[0]:
            chosen = self._chosen()
            return next((entry for entry in ready if entry["id"] == chosen), ready[0])
        return next(iter(ready or entries), None)

    def _chosen(self) -> str | None:
        answer = self._gpt.request("GET", "/api/models", timeout=10)
        selection = answer.json().get("selection") if answer.status == 200 else None
        return selection.get("chosen") if isinstance(selection, dict) else None


def is_default(name: str | None) -> bool:
    """Whether a request with this model leaves the choice to the service."""
    return not name or name.strip().lower() == DEFAULT


def names_of(entry: dict[str, Any]) -> list[str]:
    """A listed model's id, then its aliases."""
    return [str(name) for name in (entry["id"], *(entry.get("aliases") or ()))]


def model_address(name: str) -> str:
    """gpt's address of a model, whatever the name holds. Raises 404 on one that would be another address, or none."""
    if name in {".", ".."} or len(name) > MOST_NAME:
        raise ApiError(404, "model_not_found", _("Modèle inconnu : « %(model)s ».", model=name[:MOST_NAME]), "model")
    return f"/v1/models/{quote(name, safe='')}"


def _model(entry: dict[str, Any]) -> Model:
    context = entry.get("context") or entry.get("max_model_len")  # vLLM's name for it
    known = context if isinstance(context, int) and context > 0 else UNKNOWN_CONTEXT
    return Model(str(entry["id"]), bool(entry.get("embedded")), known)
