"""gpt's variables."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from common.settings import ServiceSettings
from gpt.engines.options import Quantization
from gpt.engines.vllm.extra import read_extra_args

ENGINES = ("auto", "ctranslate2", "transformers", "nanochat", "vllm")


class GptSettings(ServiceSettings):
    """What gpt reads from the environment; each field is the variable of the same name in capitals."""

    port: int = Field(default=5002, ge=1, le=65535)
    ia_model: str = Field(default="auto", description="Clé, alias, identifiant du hub, dossier local, ou auto.")
    ia_engine: str = Field(default="auto", description="auto, ctranslate2, transformers, nanochat ou vllm.")
    ia_use_gpu: bool = Field(default=True, description="Utiliser un GPU NVIDIA s'il y en a un.")
    gpu_device_ids: Annotated[list[int], NoDecode] = Field(
        default_factory=list, description="Numéros des GPU à utiliser, séparés par des virgules ; vide : tous."
    )
    ia_quantization: Quantization = Field(default="auto", description="none, int8, nf4 ou auto.")
    ia_adapters: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Adaptateurs LoRA du modèle, séparés par des virgules : nom=dossier ou nom=identifiant du hub.",
    )
    ia_model_ttl_s: int = Field(
        default=0, ge=0, description="Décharger un modèle resté ce temps sans servir, en secondes ; 0 : jamais."
    )
    ia_swap_wait_s: int = Field(
        default=120, ge=0, le=3600, description="Attente d'une demande pendant un changement de modèle, en secondes."
    )
    ia_remote_api_key: SecretStr | None = Field(
        default=None, description="Clé du serveur que IA_MODEL=http://… désigne (ou IA_REMOTE_API_KEY_FILE)."
    )
    vllm_python: str = Field(default=sys.executable, description="Python de l'environnement où vLLM est installé.")
    vllm_args: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Arguments de plus pour vLLM, parmi ceux qui sont sans danger."
    )
    vllm_ray_address: str = Field(default="", description="Grappe Ray sur laquelle vLLM s'étend : hôte:port ou auto.")
    hf_home: Path | None = Field(default=None, description="Dossier de Hugging Face (le cache est dans hub/).")
    model_cache_dir: Path | None = Field(default=None, description="Dossier des modèles téléchargés ; l'emporte.")
    hf_endpoint: str | None = Field(default=None, description="Adresse du hub de modèles.")
    hf_hub_offline: bool = Field(default=False, description="Ne jamais joindre le hub.")
    huggingface_token: SecretStr | None = Field(default=None, description="Jeton du hub (ou HUGGINGFACE_TOKEN_FILE).")

    @field_validator("ia_engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if value.lower() not in ENGINES:
            raise ValueError(f"moteur inconnu « {value} » ; attendu : {', '.join(ENGINES)}")
        return value.lower()

    @field_validator("gpu_device_ids", "ia_adapters", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("vllm_args", mode="before")
    @classmethod
    def _safe_args(cls, value: object) -> object:
        return read_extra_args(value) if isinstance(value, str) else value

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
