"""Calls to chat, or to app which passes them on; what goes wrong is one sentence."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from chat.cli.errors import CommandError
from chat.cli.options import Options
from common.errors import ApiError
from common.web.auth import SERVICE_TOKEN_HEADER
from common.web.client import Peer

KEY_REFUSED = {401, 403}
SECONDS = 30.0
"""Of what is no generation."""


@dataclass
class Answer:
    """An answer as it grows; `interrupted`: the person stopped it."""

    text: str = ""
    reasoning: str = ""
    model: str | None = None
    finish: str | None = None
    usage: dict[str, Any] | None = None
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    interrupted: bool = False

    def message(self) -> dict[str, Any]:
        """As it goes back to the server with the next question."""
        runs = {"tool_runs": list(self.runs.values())} if self.runs else {}
        return {"role": "assistant", "content": self.text, **runs}


class Server:
    """What the options name."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._peer = Peer("chat", options.url)
        self._headers = {"Authorization": f"Bearer {options.key}"} if options.key else {}
        if options.key is None and options.service_token:
            self._headers[SERVICE_TOKEN_HEADER] = options.service_token

    def models(self) -> list[dict[str, Any]]:
        """As /v1/models lists them."""
        return [one for one in self._get("/v1/models").get("data", []) if isinstance(one, dict)]

    def model(self, name: str) -> dict[str, Any]:
        return self._get(f"/v1/models/{quote(name, safe='')}")

    def tools(self) -> list[dict[str, Any]]:
        """As /api/tools lists them."""
        return [one for one in self._get("/api/tools").get("tools", []) if isinstance(one, dict)]

    def draw(self, body: dict[str, Any]) -> dict[str, Any]:
        """A diagram, which is valid."""
        with self._failing():
            answer = self._peer.request("POST", "/api/diagrams", json=body, headers=self._headers)
            drawn: dict[str, Any] = answer.raise_for_status().json()
            return drawn

    def answer(
        self, messages: list[dict[str, Any]], model: str | None, tools: tuple[str, ...], answer: Answer
    ) -> Iterator[tuple[str, Any]]:
        """Fill `answer` as it is written, and tell of it: ("text", piece), ("reasoning", piece), ("run", run)."""
        body: dict[str, Any] = {"model": model or "default", "messages": messages, "stream": True}
        body["stream_options"] = {"include_usage": True}
        if tools:
            body["tools"] = [{"type": "frigo", "name": name} for name in tools]
        with self._failing():
            stream = self._peer.stream("POST", "/v1/chat/completions", json=body, headers=self._headers)
            with stream:
                if stream.status >= 400:
                    stream.read().raise_for_status()
                for _name, data in stream.events():
                    if data == "[DONE]":
                        return
                    yield from _read(data, answer)
        raise CommandError("La réponse a été coupée.")

    def _get(self, path: str) -> dict[str, Any]:
        with self._failing():
            answer = self._peer.request("GET", path, headers=self._headers, timeout=SECONDS).raise_for_status()
            told: dict[str, Any] = answer.json()
            return told

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except ApiError as error:
            raise CommandError(self._sentence(error)) from error

    def _sentence(self, error: ApiError) -> str:
        where = self._options.url
        if error.code == "peer_unavailable" and error.extra.get("service") == "chat":
            return f"Frigo ne répond pas à {where}. Est-il démarré (make run) ? Autre adresse : --url ou CHAT_API_URL."
        said = str(error.message)
        if error.status in KEY_REFUSED and self._options.key is None:
            return f"{said} Donnez une clé : OPENAI_API_KEY ou --cle."
        return said if error.code != "peer_error" else f"{where} : {said}"


def _read(data: str, answer: Answer) -> Iterator[tuple[str, Any]]:
    try:
        told = json.loads(data)
    except ValueError:
        return
    if not isinstance(told, dict):
        return
    if isinstance(error := told.get("error"), dict):
        raise CommandError(str(error.get("message") or "La réponse a été coupée."))
    answer.model = told.get("model") or answer.model
    answer.usage = told.get("usage") or answer.usage
    choices = told.get("choices")
    if not choices:
        return
    answer.finish = choices[0].get("finish_reason") or answer.finish
    delta = choices[0].get("delta") or {}
    if piece := delta.get("reasoning_content"):
        answer.reasoning += piece
        yield "reasoning", piece
    if piece := delta.get("content"):
        answer.text += piece
        yield "text", piece
    if isinstance(run := delta.get("tool_run"), dict):
        answer.runs[str(run.get("id"))] = run
        yield "run", run
