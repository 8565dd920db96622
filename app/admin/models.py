"""Models of all services, seen from one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from app.peers import Peers
from app.probes import PROBE_SECONDS, at_once
from common.errors import ApiError
from common.messages import _
from common.web.client import Peer


class ModelDesk:
    """The models of gpt, asr and diarize."""

    def __init__(self, peers: Peers) -> None:
        self._owners: list[Peer] = [peers.gpt, peers.asr, peers.diarize]

    def snapshots(self) -> dict[str, dict[str, Any]]:
        """``/api/models`` of each service that answers, by service."""
        return {peer.name: shown for peer, shown in zip(self._owners, self._ask(), strict=True) if shown is not None}

    def act(
        self, key: str, action: str, options: Mapping[str, Any] | None = None, service: str | None = None
    ) -> dict[str, Any]:
        """Pass download, load (with its `options`), unload or cancel on to the service that has the model.

        `service` settles a shared name. Raises ApiError 404 model_not_found, 503 when a service that may have it does
        not answer, or that service's own refusal.
        """
        owner = self._owner(key, service)
        path = f"/api/models/{quote(key, safe='')}/{action}"
        response = owner.request("POST", path, json=dict(options) if options else None, body=b"")
        model: dict[str, Any] = response.raise_for_status().json()
        return {"service": owner.name, "model": model}

    def _owner(self, key: str, service: str | None) -> Peer:
        absent = None
        for peer, shown in zip(self._owners, self._ask(), strict=True):
            if service is not None and peer.name != service:
                continue
            if shown is None:
                absent = absent or peer
            elif service is not None or any(key == m["key"] or key in m.get("aliases", []) for m in shown["models"]):
                return peer
        if absent is not None:
            message = _("Le service %(service)s ne répond pas ; réessayez dans quelques secondes.", service=absent.name)
            raise ApiError(503, "peer_unavailable", message, extra={"service": absent.name})
        raise ApiError(404, "model_not_found", _("Modèle inconnu : %(model)s.", model=key), "model")

    def _ask(self) -> list[dict[str, Any] | None]:
        return at_once(_models, self._owners)


def _models(peer: Peer) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = peer.request("GET", "/api/models", timeout=PROBE_SECONDS).raise_for_status().json()
    except ApiError:
        return None
    return answer
