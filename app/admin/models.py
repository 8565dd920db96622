"""Models of all services, seen from one place; what is asked of one is asked of each replica of its service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from app.admin.replicas import said, summed
from app.peers import Peers
from app.probes import PROBE_SECONDS, at_once
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.client import Peer, unavailable

Shown = dict[str, Any]


@dataclass(frozen=True)
class _Replica:
    """One address of a service, and its ``/api/models``; None when it does not answer."""

    peer: Peer
    shown: Shown | None

    @property
    def url(self) -> str:
        return self.peer.urls[0]

    def has(self, key: str) -> bool:
        models = self.shown["models"] if self.shown else []
        return any(key == model["key"] or key in model.get("aliases", []) for model in models)


class ModelDesk:
    """The models of gpt, asr and diarize."""

    def __init__(self, peers: Peers) -> None:
        self._names = list(peers.owners)
        self._peers = [replica for replicas in peers.owners.values() for replica in replicas]

    def snapshots(self) -> dict[str, Shown]:
        """By service that answers: ``/api/models`` of its replicas as one, and the default of each in `chosen`."""
        found = {}
        for name, replicas in self._ask().items():
            models = summed([(one.url, one.shown) for one in replicas])
            if models is not None:
                found[name] = models | {"chosen": {one.url: _chosen(one.shown) for one in replicas}}
        return found

    def act(
        self, key: str, action: str, options: Mapping[str, Any] | None = None, service: str | None = None
    ) -> dict[str, Any]:
        """Pass download, load (with its `options`), unload or cancel on to each replica that has the model.

        `service` settles a shared name. `replicas` says what each of them answered, `warnings` which of them could not
        do it. Raises ApiError 404 model_not_found, 503 when a service that may have it does not answer, or the refusal
        of the first when all of them refuse.
        """
        name, replicas = self._owner(key, service)
        path = f"/api/models/{quote(key, safe='')}/{action}"
        body = dict(options) if options else None
        here = [one.peer for one in replicas if one.shown is not None]
        answers = dict(zip((peer.urls[0] for peer in here), at_once(_asks(path, body), here), strict=True))
        done = [(one.url, answers.get(one.url) or unavailable(name)) for one in replicas]
        models = [answer for _url, answer in done if not isinstance(answer, ApiError)]
        if not models:
            raise next(iter(error for error in answers.values() if isinstance(error, ApiError)))
        return {
            "service": name,
            "model": models[0],
            "replicas": [_told(url, answer) for url, answer in done],
            "warnings": [f"{name} ({url}) : {said(answer)}" for url, answer in done if isinstance(answer, ApiError)],
        }

    def _owner(self, key: str, service: str | None) -> tuple[str, list[_Replica]]:
        absent = None
        for name, replicas in self._ask().items():
            if service is not None and name != service:
                continue
            if all(one.shown is None for one in replicas):
                absent = absent or name
            elif service is not None or any(one.has(key) for one in replicas):
                return name, replicas
        if absent is not None:
            raise unavailable(absent)
        raise ApiError(404, "model_not_found", _("Modèle inconnu : %(model)s.", model=key), "model")

    def _ask(self) -> dict[str, list[_Replica]]:
        found: dict[str, list[_Replica]] = {name: [] for name in self._names}
        for peer, shown in zip(self._peers, at_once(_models, self._peers), strict=True):
            found[peer.name].append(_Replica(peer, shown))
        return found


def _asks(path: str, body: Mapping[str, Any] | None) -> Callable[[Peer], Shown | ApiError]:
    def ask(peer: Peer) -> Shown | ApiError:
        try:
            model: Shown = peer.request("POST", path, json=body, body=b"").raise_for_status().json()
        except ApiError as error:
            return error
        return model

    return ask


def _told(url: str, answer: Shown | ApiError) -> dict[str, Any]:
    if isinstance(answer, ApiError):
        return {"url": url, **answer.body(context.language.get())}
    return {"url": url, "model": answer}


def _chosen(shown: Shown | None) -> str | None:
    return (shown.get("selection") or {}).get("chosen") if shown else None


def _models(peer: Peer) -> Shown | None:
    try:
        answer: Shown = peer.request("GET", "/api/models", timeout=PROBE_SECONDS).raise_for_status().json()
    except ApiError:
        return None
    return answer
