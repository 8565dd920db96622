"""GET /v1/models: what can be asked for now, in OpenAI's form with a few fields more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flask_openapi import APIBlueprint, Tag

from common.models.catalogue import ModelEntry
from common.models.registry import Registry, State
from common.models.routes import ModelPath
from gpt.adapters.service import AdapterService
from gpt.adapters.shelf import Adapter
from gpt.engines.forwarding import GptEngine

_USABLE: tuple[State, ...] = ("ready", "loading", "unloading", "downloaded")
_STARTED = int(time.time())


def openai_models_blueprint(
    registry: Registry[GptEngine], context: Callable[[ModelEntry], int], adapters: AdapterService | None = None
) -> APIBlueprint:
    """The list names what is on this machine, ready first, then adapters with their parent; any catalogue entry can be
    looked up by name."""
    bp = APIBlueprint("openai_models", __name__, url_prefix="/v1/models", abp_tags=[Tag(name="OpenAI")])

    @bp.get("", summary="Les modèles présents sur cette machine, les prêts d'abord")
    def list_models() -> dict[str, Any]:
        states = [(entry, registry.state(entry.key)) for entry in registry.catalogue]
        usable = sorted((pair for pair in states if pair[1] in _USABLE), key=lambda pair: _USABLE.index(pair[1]))
        shown = [_shown(entry, state, context(entry)) for entry, state in usable]
        if adapters is not None:
            shown += [adapted(adapter, adapters) for adapter in adapters.shelf if adapter.folder is not None]
        return {"object": "list", "data": shown}

    def adapted(adapter: Adapter, service: AdapterService) -> dict[str, Any]:
        entry = registry.catalogue.resolve(adapter.parent)
        shown = _shown(entry, registry.state(entry.key), context(entry))
        return {**shown, "id": adapter.name, "aliases": [], "state": service.state(adapter), "parent": entry.key}

    @bp.get("/<path:key>", summary="Un modèle, par sa clé ou un alias")
    def one_model(path: ModelPath) -> dict[str, Any]:
        adapter = adapters.find(path.key) if adapters is not None else None
        if adapters is not None and adapter is not None:
            return adapted(adapter, adapters)
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
