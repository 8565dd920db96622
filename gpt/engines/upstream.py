"""An OpenAI-compatible server as a client sees it: its models, its streams, its refusals in this house's terms."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from common.errors import ApiError
from common.messages import Text, _
from common.web.client import Peer, PeerResponse, PeerStream

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 600.0  # between two reads of an answer: a long prompt on a slow machine is silent for minutes
MAX_ERROR_BYTES = 64 * 1024
MAX_LIST_BYTES = 8 * 2**20
MAX_MESSAGE = 2000
# How vLLM, llama.cpp and others say that a prompt is too long: callers cut their text when they read the code.
_TOO_LONG = re.compile(
    r"maximum context length|context (?:size|length|window)|exceed_context_size|longer than the", re.I
)
_CODES = {
    400: "invalid_request",
    404: "model_not_found",
    408: "upstream_timeout",
    413: "body_too_large",
    422: "invalid_request",
    429: "rate_limit_exceeded",
    503: "upstream_overloaded",
    504: "upstream_timeout",
}


class Upstream:
    """The server at `base` (what stands before ``/chat/completions``), called `name` in messages.

    `key` goes along as a bearer token and is never shown; nor is any of `hidden` (folders) in what the server says.
    """

    def __init__(
        self,
        name: str,
        base: str,
        key: SecretStr | None = None,
        *,
        hidden: Mapping[str, str] | None = None,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.name = name
        self._peer = Peer(name, base, connect_timeout=CONNECT_SECONDS, read_timeout=silence_seconds, wake_seconds=0)
        self._headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
        self._hidden = dict(hidden or {})
        if key is not None:
            self._hidden[key.get_secret_value()] = "…"

    def models(self, *, timeout: float | None = None) -> list[dict[str, Any]]:
        """GET /models. Raises the server's refusal, or 502 when what it answers is no list of models."""
        answer = self.get("/models", timeout=timeout)
        if answer.status != 200:
            raise self._refusal(answer.status, answer)
        try:
            listed = [dict(model) for model in answer.json()["data"]]
            if not all(isinstance(model["id"], str) for model in listed):
                raise TypeError("an id is a string")
        except (ApiError, KeyError, TypeError, ValueError) as error:
            raise ApiError(502, "peer_error", self._senseless()) from error
        return listed

    def get(self, path: str, *, timeout: float | None = None) -> PeerResponse:
        """The whole answer of a short question, whatever its status."""
        with self._peer.stream("GET", path, headers=self._headers, timeout=timeout) as stream:
            return _bounded(stream, MAX_LIST_BYTES)

    def post(self, path: str, payload: Mapping[str, Any], *, timeout: float | None = None) -> PeerResponse:
        """The whole answer of a short call. Raises as `stream`."""
        with self.stream(path, payload, timeout=timeout) as stream:
            return stream.read()

    def stream(self, path: str, payload: Mapping[str, Any], *, timeout: float | None = None) -> PeerStream:
        """POST `payload`; the answer as it comes. Raises the server's refusal as an OpenAI error."""
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {**self._headers, "Content-Type": "application/json"}
        stream = self._peer.stream("POST", path, body=body, headers=headers, timeout=timeout)
        if stream.status == 200:
            return stream
        with stream:
            raise self._refusal(stream.status, _bounded(stream, MAX_ERROR_BYTES))

    def _refusal(self, status: int, answer: PeerResponse) -> ApiError:
        """The server's own error: its status, its message, a code that is always a word, and when to come back.

        A refused key is this service's fault and not the client's: it becomes 502, and what the server says of the
        key is not repeated.
        """
        if status in {401, 403}:
            message = _("%(server)s refuse la clé (IA_REMOTE_API_KEY) : %(status)s.", server=self.name, status=status)
            return ApiError(502, "upstream_unauthorized", message)
        if status < 400:
            return ApiError(502, "peer_error", self._senseless())
        said = _error_object(answer.data)
        code, param = said.get("code"), said.get("param")
        told: Text | str = self.hide(str(said.get("message") or ""))[:MAX_MESSAGE] or _(
            "%(server)s a répondu %(status)s.", server=self.name, status=status
        )
        known = code if isinstance(code, str) and code and not code.isdecimal() else None
        if known is None and status in {400, 413, 422} and _TOO_LONG.search(f"{said.get('type')} {told}"):
            known = "context_length_exceeded"
        retry_after = answer.headers.get("Retry-After")
        return ApiError(
            status,
            known or _CODES.get(status, "upstream_error"),
            told,
            param if isinstance(param, str) else None,
            headers={"Retry-After": retry_after} if retry_after else None,
        )

    def hide(self, text: str) -> str:
        """`text` without the key nor the folders."""
        for secret, shown in self._hidden.items():
            text = text.replace(secret, shown)
        return text

    def _senseless(self) -> Text:
        return _("%(server)s ne répond pas comme un serveur compatible OpenAI.", server=self.name)


def _bounded(stream: PeerStream, limit: int) -> PeerResponse:
    """The beginning of a body, whatever its length; cut in the middle, what came of it (its status is known)."""
    data = b""
    with contextlib.suppress(ApiError):
        for chunk in stream:
            data += chunk
            if len(data) >= limit:
                break
    return PeerResponse(stream.service, stream.status, stream.headers, data[:limit])


def _error_object(data: bytes) -> dict[str, Any]:
    """What there is of OpenAI's error object in an error's body: also Ollama's text, FastAPI's detail, vLLM's own."""
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    error = body.get("error", body)
    if isinstance(error, str):
        return {"message": error}
    if not isinstance(error, dict):
        return {}
    detail = error.get("detail")
    return {"message": detail, **error} if isinstance(detail, str) else error
