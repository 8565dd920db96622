"""asr's variables."""

from __future__ import annotations

from pydantic import Field, field_validator

from asr.languages import language_code
from common.audio.settings import AudioSettings
from common.errors import ApiError
from common.settings import WebAddresses

ENGINES = ("auto", "nemo", "transformers", "embedded")


class AsrSettings(AudioSettings):
    """What asr reads from the environment; each field is the variable of the same name in capitals."""

    port: int = Field(default=5003, ge=1, le=65535, description="Port d'écoute (celui de Render l'emporte).")
    asr_model: str = Field(
        default="auto", description="Clé, alias, identifiant du hub, dossier, fichier .nemo, ou auto."
    )
    asr_engine: str = Field(default="auto", description="auto, nemo, transformers ou embedded.")
    asr_language: str | None = Field(
        default=None,
        description="Langue supposée quand la demande n'en donne pas et que le modèle ne la reconnaît pas (fr, en…).",
    )

    diarize_api_url: WebAddresses = Field(
        default="http://127.0.0.1:5004",
        description="Adresse de diarize (diarized_json) ; plusieurs répliques séparées par des virgules.",
    )

    @field_validator("asr_language")
    @classmethod
    def _known_language(cls, value: str | None) -> str | None:
        try:
            return language_code(value)
        except ApiError as error:
            raise ValueError(f"langue inconnue « {value} » ; un code ISO 639-1 est attendu") from error

    @field_validator("asr_engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if value.lower() not in ENGINES:
            raise ValueError(f"moteur inconnu « {value} » ; attendu : {', '.join(ENGINES)}")
        return value.lower()
