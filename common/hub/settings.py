"""The variables of the services whose models come from a hub, and the hub that they describe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from common.hub.hub import Hub
from common.hub.token import SAVED_TOKEN
from common.settings import ServiceSettings


class HubSettings(ServiceSettings):
    """What gpt, asr and diarize all read."""

    ia_use_gpu: bool = Field(default=True, description="Utiliser un GPU NVIDIA s'il y en a un.")
    gpu_device_ids: Annotated[list[int], NoDecode] = Field(
        default_factory=list, description="Numéros des GPU à utiliser, séparés par des virgules ; vide : tous."
    )
    ia_swap_wait_s: int = Field(
        default=120, ge=0, le=3600, description="Attente d'une demande pendant un changement de modèle, en secondes."
    )
    ia_model_ttl_s: int = Field(
        default=0, ge=0, description="Décharger un modèle resté ce temps sans servir, en secondes ; 0 : jamais."
    )
    hf_home: Path | None = Field(default=None, description="Dossier de Hugging Face (le cache est dans hub/).")
    model_cache_dir: Path | None = Field(default=None, description="Dossier des modèles téléchargés ; l'emporte.")
    hf_endpoint: str | None = Field(default=None, description="Adresse du hub de modèles.")
    hf_hub_offline: bool = Field(default=False, description="Ne jamais joindre le hub.")
    huggingface_token: SecretStr | None = Field(default=None, description="Jeton du hub (ou HUGGINGFACE_TOKEN_FILE).")

    @field_validator("gpu_device_ids", mode="before")
    @classmethod
    def _split_ids(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("hf_endpoint")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("une adresse http:// ou https:// est attendue")
        return value.rstrip("/") if value else value

    @property
    def cache_dir(self) -> Path:
        """Where downloaded models are: MODEL_CACHE_DIR, else HF_HOME/hub, else Hugging Face's usual folder."""
        if self.model_cache_dir is not None:
            return self.model_cache_dir
        home = self.hf_home or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
        return home / "hub"


def create_hub(settings: HubSettings) -> Hub:
    """The hub that the settings describe, and the folder its models are kept in."""
    token = settings.huggingface_token
    return Hub(
        cache_dir=settings.cache_dir,
        endpoint=settings.hf_endpoint,
        token=token.get_secret_value() if token else None,
        offline=settings.hf_hub_offline,
        saved_token=settings.data_dir / SAVED_TOKEN,
    )
