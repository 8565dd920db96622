"""The four services behind app."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.settings import AppSettings
from common.web.client import Peer


@dataclass(frozen=True)
class Peers:
    """One client per service; `public_chat` carries the caller's credentials and never ours."""

    chat: Peer
    gpt: Peer
    asr: Peer
    diarize: Peer
    public_chat: Peer

    def __iter__(self) -> Iterator[Peer]:
        return iter((self.chat, self.gpt, self.asr, self.diarize))


def connect(settings: AppSettings) -> Peers:
    token = settings.service_token
    return Peers(
        chat=Peer("chat", settings.chat_api_url, service_token=token),
        gpt=Peer("gpt", settings.gpt_api_url, service_token=token),
        asr=Peer("asr", settings.asr_api_url, service_token=token),
        diarize=Peer("diarize", settings.diarize_api_url, service_token=token),
        public_chat=Peer("chat", settings.chat_api_url),
    )
