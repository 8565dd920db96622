"""The four services behind app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.settings import AppSettings
from common.web.client import Peer


@dataclass(frozen=True)
class Peers:
    """One client per service; `public_chat` carries the caller's credentials and never ours.

    `replicas`: one client per address, by service, for what must reach each of them.
    """

    chat: Peer
    gpt: Peer
    asr: Peer
    diarize: Peer
    public_chat: Peer
    replicas: Mapping[str, tuple[Peer, ...]]

    def __iter__(self) -> Iterator[Peer]:
        return iter((self.chat, self.gpt, self.asr, self.diarize))

    @property
    def owners(self) -> dict[str, tuple[Peer, ...]]:
        """The replicas of the services that have models."""
        return {name: self.replicas[name] for name in ("gpt", "asr", "diarize")}


def connect(settings: AppSettings) -> Peers:
    token = settings.service_token
    peers = {
        "chat": Peer("chat", settings.chat_api_url, service_token=token),
        "gpt": Peer("gpt", settings.gpt_api_url, service_token=token),
        "asr": Peer("asr", settings.asr_api_url, service_token=token),
        "diarize": Peer("diarize", settings.diarize_api_url, service_token=token),
    }
    replicas = {
        name: tuple(Peer(name, url, service_token=token) for url in dict.fromkeys(peer.urls))
        for name, peer in peers.items()
    }
    return Peers(**peers, public_chat=Peer("chat", settings.chat_api_url), replicas=replicas)
