"""/api/adapters: the LoRA adapters, given and taken away while their model serves."""

from __future__ import annotations

from typing import Any

from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from common.web import context
from gpt.adapters.service import AdapterService


class AdapterBody(BaseModel):
    """POST /api/adapters."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64, description="Le nom à donner dans « model »")
    source: str = Field(
        min_length=1, max_length=500, description="Un dossier de DATA_DIR/adapters, ou un identifiant du hub"
    )
    parent: str | None = Field(default=None, max_length=500, description="Le modèle ; absent : celui du démarrage")


class AdapterPath(BaseModel):
    """An adapter's name."""

    name: str


def adapters_blueprint(service: AdapterService) -> APIBlueprint:
    """The endpoints over `service`."""
    bp = APIBlueprint("adapters", __name__, url_prefix="/api/adapters", abp_tags=[Tag(name="Adaptateurs")])

    @bp.get("", summary="Les adaptateurs connus et leur état")
    def list_adapters() -> dict[str, Any]:
        language = context.language.get()
        return {"adapters": [service.status(adapter, language) for adapter in service.shelf]}

    @bp.post("", summary="Ajouter un adaptateur pendant que son modèle sert")
    def add(body: AdapterBody) -> tuple[dict[str, Any], int]:
        adapter = service.add(body.name, body.source, body.parent)
        return service.status(adapter, context.language.get()), 201 if adapter.folder is not None else 202

    @bp.delete("/<name>", summary="Retirer un adaptateur, une fois finies les réponses qui s'en servent")
    def remove(path: AdapterPath) -> tuple[dict[str, Any], int]:
        return service.status(service.remove(path.name), context.language.get()), 202

    return bp
