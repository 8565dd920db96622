"""/api/admin/adapters: the LoRA adapters of gpt, passed on as they are asked and answered."""

from __future__ import annotations

from urllib.parse import quote

from flask import Response
from flask_openapi import APIBlueprint
from pydantic import BaseModel, Field

from app.gateway import forward
from app.peers import Peers


class AdapterPath(BaseModel):
    name: str = Field(description="Nom de l'adaptateur")


def add_routes(routes: APIBlueprint, peers: Peers) -> None:
    """Add gpt's /api/adapters under the admin's prefix, whose guard covers them; gpt's refusals come back whole."""

    @routes.get("/adapters", summary="Les adaptateurs et leur état")
    def listed() -> Response:
        return forward(peers.gpt, "/api/adapters")

    @routes.post("/adapters", summary="Ajouter un adaptateur pendant que son modèle sert")
    def add() -> Response:
        return forward(peers.gpt, "/api/adapters")

    @routes.delete("/adapters/<name>", summary="Retirer un adaptateur")
    def remove(path: AdapterPath) -> Response:
        return forward(peers.gpt, f"/api/adapters/{quote(path.name, safe='')}")
