"""/api/admin/keys: the API keys, which chat keeps; passed on as they are asked and answered."""

from __future__ import annotations

from urllib.parse import quote

from flask import Response
from flask_openapi import APIBlueprint
from pydantic import BaseModel, Field

from app.gateway import forward
from app.peers import Peers


class KeyPath(BaseModel):
    id: str = Field(description="Identifiant de la clé")


def add_routes(routes: APIBlueprint, peers: Peers) -> None:
    """Add chat's /api/keys under the admin's prefix, whose guard covers them; chat's refusals come back whole."""

    @routes.get("/keys", summary="Les clés d'API, et ce qu'elles ont consommé aujourd'hui")
    def all_keys() -> Response:
        return forward(peers.chat, "/api/keys")

    @routes.post("/keys", summary="Faire une clé ; elle n'est montrée qu'une fois")
    def make_key() -> Response:
        return forward(peers.chat, "/api/keys")

    @routes.get("/keys/usage", summary="Consommation de toutes les clés, par jour")
    def keys_usage() -> Response:
        return forward(peers.chat, "/api/keys/usage")

    @routes.patch("/keys/<id>", summary="Changer le nom, la fin ou les limites d'une clé")
    def change_key(path: KeyPath) -> Response:
        return forward(peers.chat, _address(path.id))

    @routes.delete("/keys/<id>", summary="Révoquer une clé, sur-le-champ ; ?forget=true l'efface")
    def revoke_key(path: KeyPath) -> Response:
        return forward(peers.chat, _address(path.id))

    @routes.get("/keys/<id>/usage", summary="Consommation d'une clé, par jour")
    def key_usage(path: KeyPath) -> Response:
        return forward(peers.chat, f"{_address(path.id)}/usage")


def _address(key_id: str) -> str:
    """chat's address of a key; one that is no id leads nowhere else."""
    return f"/api/keys/{quote(key_id, safe='') if key_id not in {'.', '..'} else '-'}"
