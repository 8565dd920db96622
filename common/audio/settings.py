"""The variables of the services that take recordings."""

from __future__ import annotations

from pydantic import Field

from common.hub.settings import HubSettings


class AudioSettings(HubSettings):
    """What asr and diarize both read."""

    max_audio_minutes: float = Field(
        default=360.0, gt=0, le=10_000, description="Durée maximale d'un enregistrement, en minutes."
    )

    @property
    def max_audio_seconds(self) -> float:
        return self.max_audio_minutes * 60
