"""Engines that are servers of their own (vLLM, any OpenAI-compatible URL): requests go through as they were sent.

Such an engine lives in the service's process, holds no model there and knows no token: it is an HTTP client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from common.messages import Text
from common.web.client import PeerStream
from gpt.engines.base import LanguageEngine


@runtime_checkable
class ForwardingEngine(Protocol):
    """A model behind another server that speaks OpenAI's API. Thread-safe."""

    @property
    def name(self) -> str: ...
    @property
    def context(self) -> int: ...  # tokens, prompt and answer together; 0 when the server does not say

    def forward(self, path: str, payload: Mapping[str, Any], adapter: str | None = None) -> PeerStream:
        """Send `payload` to `path` (``/chat/completions``…) with only its ``model`` rewritten: the server's own name
        of the model, or of `adapter`. The answer is handed over as soon as its headers are there.

        Raises the server's refusal with its status, OpenAI's shape and ``Retry-After``, 503 `peer_unavailable`
        when nobody answers, 502 when the answer makes no sense. Close the stream to make the server stop.
        """

    def models(self) -> list[dict[str, Any]]:
        """The server's own list of models, in OpenAI's form."""

    def watch(self, died: Callable[[Text], None]) -> None:
        """Call `died(reason)` once, when the server stops without having been asked to."""

    def close(self) -> None:
        """Let the server go, and end it when it is ours. May be called twice."""


# What the registry of gpt holds: models computed in a process of ours, and models of other servers.
GptEngine = LanguageEngine | ForwardingEngine
