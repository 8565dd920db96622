"""The names of asr's models."""

from __future__ import annotations

from chat.llm import is_default
from common.errors import ApiError
from common.messages import _
from common.web.client import Peer


class AudioModels:
    """What asr's /api/models tells."""

    def __init__(self, asr: Peer) -> None:
        self._asr = asr

    def names(self, name: str | None) -> list[str]:
        """The key, then the aliases, of the model that `name` designates; none: the one that is ready.

        A name that asr does not list, as OpenAI's own, is alone. Raises `ApiError` 503.
        """
        models = self._asr.request("GET", "/api/models", timeout=10).raise_for_status().json().get("models", [])
        known = [([str(model["key"]), *map(str, model.get("aliases") or ())], model.get("state")) for model in models]
        if is_default(name):
            serving = next((names for names, state in known if state == "ready"), None)
            if serving is None:
                raise ApiError(503, "model_not_ready", _("Aucun modèle de transcription n'est prêt."), "model")
            return serving
        wanted = str(name).strip().lower()
        return next((names for names, _state in known if wanted in {n.lower() for n in names}), [str(name)])
