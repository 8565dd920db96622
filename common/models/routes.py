"""``/api/models`` of every service that owns models."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from common.models.registry import Registry
from common.web import context
from common.web.sse import sse


class ModelPath(BaseModel):
    """A model's key or alias."""

    key: str = Field(description="Clé ou alias du modèle")


def models_blueprint(registry: Registry[Any]) -> APIBlueprint:
    """The lifecycle endpoints over `registry`."""
    bp = APIBlueprint("models", __name__, url_prefix="/api/models", abp_tags=[Tag(name="Modèles")])

    @bp.get("", summary="Les modèles, leur état et le choix fait au démarrage")
    def list_models() -> dict[str, Any]:
        return registry.snapshot(context.language.get())

    @bp.get("/events", summary="Les mêmes, à chaque changement (SSE)")
    def events() -> Response:
        language = context.language.get()
        return sse(("models", snapshot) for snapshot in registry.events(language))

    @bp.post("/<path:key>/download", summary="Télécharger un modèle")
    def download(path: ModelPath) -> tuple[dict[str, Any], int]:
        return registry.download(path.key), 202

    @bp.post("/<path:key>/load", summary="Charger un modèle")
    def load(path: ModelPath) -> tuple[dict[str, Any], int]:
        return registry.load(path.key), 202

    @bp.post("/<path:key>/unload", summary="Décharger un modèle")
    def unload(path: ModelPath) -> tuple[dict[str, Any], int]:
        return registry.unload(path.key), 202

    return bp
