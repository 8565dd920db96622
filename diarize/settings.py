"""diarize's variables."""

from __future__ import annotations

from pydantic import Field, field_validator

from common.audio.settings import AudioSettings

ENGINES = ("auto", "pyannote", "embedded")


class DiarizeSettings(AudioSettings):
    """What diarize reads from the environment; each field is the variable of the same name in capitals."""

    port: int = Field(default=5004, ge=1, le=65535, description="Port d'écoute (celui de Render l'emporte).")
    diarize_model: str = Field(default="auto", description="Clé, alias, identifiant du hub, dossier, ou auto.")
    diarize_engine: str = Field(default="auto", description="auto, pyannote ou embedded.")

    @field_validator("diarize_engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if value.lower() not in ENGINES:
            raise ValueError(f"moteur inconnu « {value} » ; attendu : {', '.join(ENGINES)}")
        return value.lower()
