"""/api/admin/adapters: the LoRA adapters of gpt; those of each replica when there are several."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Response, request
from flask_openapi import APIBlueprint
from pydantic import BaseModel, Field

from app.admin.replicas import Replica, Shown, act_on_each, summed
from app.gateway import forward
from app.peers import Peers
from app.probes import PROBE_SECONDS, at_once
from common.errors import ApiError
from common.web.client import Peer, unavailable

_ADDRESS = "/api/adapters"
Answer = Response | Shown | tuple[Shown, int]


class AdapterPath(BaseModel):
    name: str = Field(description="Nom de l'adaptateur")


def add_routes(routes: APIBlueprint, peers: Peers) -> None:
    """Add gpt's /api/adapters under the admin's prefix, whose guard covers them; gpt's refusals come back whole.

    With several replicas each does what is asked: the answer is the first's, with what could not be done elsewhere in
    `warnings`.
    """
    several = len(peers.replicas["gpt"]) > 1

    @routes.get("/adapters", summary="Les adaptateurs et leur état")
    def listed() -> Answer:
        return _listed(peers.replicas["gpt"]) if several else forward(peers.gpt, _ADDRESS)

    @routes.post("/adapters", summary="Ajouter un adaptateur pendant que son modèle sert")
    def add() -> Answer:
        return _on_each(peers.replicas["gpt"], _ADDRESS) if several else forward(peers.gpt, _ADDRESS)

    @routes.delete("/adapters/<name>", summary="Retirer un adaptateur")
    def remove(path: AdapterPath) -> Answer:
        address = f"{_ADDRESS}/{quote(path.name, safe='')}"
        return _on_each(peers.replicas["gpt"], address) if several else forward(peers.gpt, address)


def _listed(replicas: tuple[Peer, ...]) -> Shown:
    shown = summed(_ask(replicas), "adapters", "name")
    if shown is None:
        raise unavailable(replicas[0].name)
    return shown


def _on_each(replicas: tuple[Peer, ...], address: str) -> tuple[Shown, int]:
    method, body = request.method, request.get_data()
    headers = {"Content-Type": request.content_type} if request.content_type else {}
    statuses: list[int] = []

    def ask(peer: Peer) -> Shown:
        answer = peer.request(method, address, body=body, headers=headers).raise_for_status()
        statuses.append(answer.status)
        adapter: dict[str, Any] = answer.json()
        return adapter

    acted = act_on_each(replicas[0].name, _ask(replicas), ask)
    return acted["model"] | {"warnings": acted["warnings"]}, max(statuses)


def _ask(replicas: tuple[Peer, ...]) -> list[Replica]:
    return [Replica(peer, shown) for peer, shown in zip(replicas, at_once(_adapters, replicas), strict=True)]


def _adapters(peer: Peer) -> Shown | None:
    try:
        answer: Shown = peer.request("GET", _ADDRESS, timeout=PROBE_SECONDS).raise_for_status().json()
    except ApiError:
        return None
    return answer
