"""``/api/models`` of every service that owns models."""

from __future__ import annotations

import threading
from typing import Any

from flask import Response
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from common.models.load_options import LoadOptions
from common.models.registry import Registry
from common.web import context
from common.web.sse import sse


class ModelPath(BaseModel):
    """A model's key or alias."""

    key: str = Field(description="Clé ou alias du modèle")


def models_blueprint(registry: Registry[Any]) -> APIBlueprint:
    """The lifecycle endpoints over `registry`."""
    bp = APIBlueprint("models", __name__, url_prefix="/api/models", abp_tags=[Tag(name="Modèles")])

    @bp.get("", summary="Les modèles, leur état et le modèle par défaut")
    def list_models() -> dict[str, Any]:
        return registry.snapshot(context.language.get())

    @bp.get("/events", summary="Les mêmes à chaque changement, et chaque changement d'état (SSE)")
    def events() -> Response:
        left = threading.Event()

        def leave() -> None:
            left.set()
            registry.wake()

        return sse(registry.events(context.language.get(), left.is_set), on_close=leave)

    @bp.post("/<path:key>/download", summary="Télécharger un modèle")
    def download(path: ModelPath) -> tuple[dict[str, Any], int]:
        return registry.download(path.key), 202

    @bp.post("/<path:key>/load", summary="Charger un modèle, qui devient celui par défaut")
    def load(path: ModelPath, body: LoadOptions) -> tuple[dict[str, Any], int]:
        return registry.load(path.key, body.asked()), 202

    @bp.post("/<path:key>/unload", summary="Décharger un modèle")
    def unload(path: ModelPath) -> tuple[dict[str, Any], int]:
        return registry.unload(path.key), 202

    @bp.post("/<path:key>/cancel", summary="Arrêter un téléchargement ou un chargement ; ce qui est reçu est gardé")
    def cancel(path: ModelPath) -> tuple[dict[str, Any], int]:
        return registry.cancel(path.key), 202

    return bp
