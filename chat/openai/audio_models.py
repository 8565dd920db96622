"""The names of asr's models."""

from __future__ import annotations

import re

from chat.llm import is_default
from common.errors import ApiError
from common.messages import _
from common.web.client import Peer

_OPENAI = re.compile(r"whisper-1|gpt-(.+-)?transcribe(-.+)?")
"""OpenAI's own names, which asr understands by itself: the model that is ready, and for some what else it does."""


class AudioModels:
    """What asr's /api/models tells."""

    def __init__(self, asr: Peer) -> None:
        self._asr = asr

    def known(self, name: str) -> bool:
        """Whether asr understands `name`."""
        return bool(_OPENAI.fullmatch(name.strip().lower())) or self._listed(name) is not None

    def names(self, name: str | None) -> list[str]:
        """The key, then the aliases, of the model that `name` designates; none: the one that is ready.

        A name that asr does not list, as OpenAI's own, is alone. Raises `ApiError` 503.
        """
        if name is not None and not is_default(name):
            return self._listed(name) or [name]
        serving = next((names for names, state in self._all() if state == "ready"), None)
        if serving is None:
            raise ApiError(503, "model_not_ready", _("Aucun modèle de transcription n'est prêt."), "model")
        return serving

    def _listed(self, name: str) -> list[str] | None:
        wanted = name.strip().lower()
        return next((names for names, _state in self._all() if wanted in {one.lower() for one in names}), None)

    def _all(self) -> list[tuple[list[str], str | None]]:
        models = self._asr.request("GET", "/api/models", timeout=10).raise_for_status().json().get("models", [])
        return [([str(model["key"]), *map(str, model.get("aliases") or ())], model.get("state")) for model in models]
