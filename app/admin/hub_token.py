"""Hugging Face's token: kept in app's DATA_DIR, and told to each replica of the services that ask the hub.

They keep it in a DATA_DIR of their own. Whoever missed it, or lost it with its disk, is told as soon as somebody looks
(the page, or the worker now and then): the latest word of a person wins, also when it took the token back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from app.admin.replicas import said, unreadable
from app.peers import Peers
from app.probes import PROBE_SECONDS, at_once
from app.settings import AppSettings
from common.errors import ApiError
from common.hub.token import SAVED_TOKEN, GivenToken, after, keep_token, read_token
from common.web.client import Peer

LOOK_SECONDS = 30.0
"""How often the worker looks whether every replica knows."""
_ADDRESS = "/api/huggingface/token"
_log = logging.getLogger("frigo.admin")


@dataclass(frozen=True)
class Told:
    """What one replica knows: since when, and why it could not be told, if it could not."""

    service: str
    url: str
    since: int | None = None
    error: str | None = None

    def shown(self) -> dict[str, Any]:
        """For the page: `kept` false until this replica has app's last word."""
        return {"service": self.service, "url": self.url, "kept": self.error is None} | (
            {"error": self.error} if self.error else {}
        )


class ReplicaTold(BaseModel):
    """One replica, and whether it has app's last word."""

    service: str
    url: str
    kept: bool = Field(description="Faux tant que cette réplique n'a pas su le dernier mot")
    error: str | None = Field(default=None, description="Pourquoi elle ne l'a pas su")


class TokenTold(BaseModel):
    """Who was told the token; never the token."""

    replicas: list[ReplicaTold]


class HubTokenDesk:
    """The token, here and everywhere."""

    def __init__(self, settings: AppSettings, peers: Peers) -> None:
        self._path = settings.data_dir / SAVED_TOKEN
        self._replicas = [replica for replicas in peers.owners.values() for replica in replicas]

    def given(self) -> bool:
        """Whether a token is kept."""
        kept = read_token(self._path)
        return kept is not None and bool(kept.token)

    def give(self, token: str) -> list[Told]:
        """Keep `token` (empty: forget the one there was), here and in every replica that answers."""
        kept = keep_token(self._path, GivenToken(token, after(read_token(self._path))))
        told = self._tell(kept)
        later = [one.since for one in told if one.since is not None and one.since > kept.since]
        if later:  # told by an app whose clock was ahead, or whose disk is lost
            kept = keep_token(self._path, GivenToken(token, after(GivenToken("", max(later)))))
            told = self._tell(kept)
        return told

    def spread(self) -> list[Told]:
        """Tell those who do not know the last word, if one was ever said here; what each of them knows then."""
        return [] if read_token(self._path) is None else at_once(self._look, self._replicas)

    def _tell(self, kept: GivenToken) -> list[Told]:
        return at_once(lambda replica: _told(replica, kept), self._replicas)

    def _look(self, replica: Peer) -> Told:
        try:
            answer = replica.request("GET", _ADDRESS, timeout=PROBE_SECONDS)
            since: int | None = answer.raise_for_status().json()["since"]
        except (ApiError, KeyError, TypeError) as error:
            return Told(replica.name, replica.urls[0], error=_why(error))
        kept = read_token(self._path)  # after the question: what was given meanwhile is not undone
        if kept is None or (since is not None and since >= kept.since):
            return Told(replica.name, replica.urls[0], since)
        return _told(replica, kept)


def _told(replica: Peer, kept: GivenToken) -> Told:
    try:
        sent = {"token": kept.token, "since": kept.since}
        answer = replica.request("PUT", _ADDRESS, json=sent, timeout=PROBE_SECONDS)
        since: int = answer.raise_for_status().json()["since"]
    except (ApiError, KeyError, TypeError) as error:
        return Told(replica.name, replica.urls[0], error=_why(error))
    _log.info("hub token told", extra={"service": replica.name, "url": replica.urls[0], "given": bool(kept.token)})
    return Told(replica.name, replica.urls[0], since)


def _why(error: Exception) -> str:
    known = error if isinstance(error, ApiError) else unreadable()
    return said(known)
