"""Models of all services, seen from one place; what is asked of one is asked of each replica of its service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from app.admin.replicas import Replica, Shown, act_on_each, summed
from app.peers import Peers
from app.probes import PROBE_SECONDS, at_once
from common.errors import ApiError
from common.messages import _
from common.web.client import Peer, unavailable


class ModelDesk:
    """The models of gpt, asr and diarize."""

    def __init__(self, peers: Peers) -> None:
        self._names = list(peers.owners)
        self._peers = [replica for replicas in peers.owners.values() for replica in replicas]

    def snapshots(self) -> dict[str, Shown]:
        """By service that answers: ``/api/models`` of its replicas as one, and the default of each in `chosen`."""
        found = {}
        for name, replicas in self._ask().items():
            models = summed(replicas)
            if models is not None:
                found[name] = models | {"chosen": {one.url: _chosen(one.shown) for one in replicas}}
        return found

    def act(self, key: str, action: str, options: Mapping[str, Any] | None = None, service: str | None = None) -> Shown:
        """Pass download, load (with its `options`), unload or cancel on to each replica of the service that has it.

        `service` settles a shared name. Returns `Acted`. Raises ApiError 404 model_not_found, 503 when a service that
        may have it does not answer, or the refusal of the first replica when all of them refuse.
        """
        name, replicas = self._owner(key, service)
        path = f"/api/models/{quote(key, safe='')}/{action}"
        body = dict(options) if options else None

        def ask(peer: Peer) -> Shown:
            model: Shown = peer.request("POST", path, json=body, body=b"").raise_for_status().json()
            return model

        return act_on_each(name, replicas, ask)

    def _owner(self, key: str, service: str | None) -> tuple[str, list[Replica]]:
        absent = None
        for name, replicas in self._ask().items():
            if service is not None and name != service:
                continue
            if all(one.shown is None for one in replicas):
                absent = absent or name
            elif service is not None or any(_has(one.shown, key) for one in replicas):
                return name, replicas
        if absent is not None:
            raise unavailable(absent)
        raise ApiError(404, "model_not_found", _("Modèle inconnu : %(model)s.", model=key), "model")

    def _ask(self) -> dict[str, list[Replica]]:
        found: dict[str, list[Replica]] = {name: [] for name in self._names}
        for peer, shown in zip(self._peers, at_once(_models, self._peers), strict=True):
            found[peer.name].append(Replica(peer, shown))
        return found


def _has(shown: Shown | None, key: str) -> bool:
    return any(key == model["key"] or key in model.get("aliases", []) for model in (shown or {}).get("models", []))


def _chosen(shown: Shown | None) -> str | None:
    return (shown.get("selection") or {}).get("chosen") if shown else None


def _models(peer: Peer) -> Shown | None:
    try:
        answer: Shown = peer.request("GET", "/api/models", timeout=PROBE_SECONDS).raise_for_status().json()
    except ApiError:
        return None
    return answer
