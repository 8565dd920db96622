"""GET /v1/models: what can be asked for now, in OpenAI's form with a few fields more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flask_openapi import APIBlueprint, Tag

from common.models.catalogue import ModelEntry
from common.models.registry import Registry, State
from common.models.routes import ModelPath
from gpt.engines.forwarding import GptEngine

_USABLE: tuple[State, ...] = ("ready", "loading", "unloading", "downloaded")
_STARTED = int(time.time())


def openai_models_blueprint(registry: Registry[GptEngine], context: Callable[[ModelEntry], int]) -> APIBlueprint:
    """The list names what is on this machine, ready first; any catalogue entry can be looked up by name."""
    bp = APIBlueprint("openai_models", __name__, url_prefix="/v1/models", abp_tags=[Tag(name="OpenAI")])

    @bp.get("", summary="Les modèles présents sur cette machine, les prêts d'abord")
    def list_models() -> dict[str, Any]:
        states = [(entry, registry.state(entry.key)) for entry in registry.catalogue]
        usable = sorted((pair for pair in states if pair[1] in _USABLE), key=lambda pair: _USABLE.index(pair[1]))
        return {"object": "list", "data": [_shown(entry, state, context(entry)) for entry, state in usable]}

    @bp.get("/<path:key>", summary="Un modèle, par sa clé ou un alias")
    def one_model(path: ModelPath) -> dict[str, Any]:
        entry = registry.catalogue.resolve(path.key)
        return _shown(entry, registry.state(entry.key), context(entry))

    return bp


def _shown(entry: ModelEntry, state: State, context: int) -> dict[str, Any]:
    return {
        "id": entry.key,
        "object": "model",
        "created": _STARTED,
        "owned_by": "frigo",
        "aliases": list(entry.aliases),
        "embedded": entry.embedded,
        "family": entry.family,
        "context": context,
        "languages": list(entry.languages),
        "vision": entry.vision,
        "state": state,
        "parent": entry.parent,
    }
