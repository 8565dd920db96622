"""gpt's variables."""

from __future__ import annotations

import sys
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from common.hub.settings import HubSettings
from gpt.engines.options import Quantization
from gpt.engines.vllm.extra import read_extra_args

ENGINES = ("auto", "ctranslate2", "transformers", "nanochat", "vllm")


class GptSettings(HubSettings):
    """What gpt reads from the environment; each field is the variable of the same name in capitals."""

    port: int = Field(default=5002, ge=1, le=65535)
    ia_model: str = Field(default="auto", description="Clé, alias, identifiant du hub, dossier local, ou auto.")
    ia_engine: str = Field(default="auto", description="auto, ctranslate2, transformers, nanochat ou vllm.")
    ia_quantization: Quantization = Field(default="auto", description="none, int8, nf4 ou auto.")
    ia_adapters: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Adaptateurs LoRA du modèle, séparés par des virgules : nom=dossier ou nom=identifiant du hub.",
    )
    ia_remote_api_key: SecretStr | None = Field(
        default=None, description="Clé du serveur que IA_MODEL=http://… désigne (ou IA_REMOTE_API_KEY_FILE)."
    )
    vllm_python: str = Field(default=sys.executable, description="Python de l'environnement où vLLM est installé.")
    vllm_args: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Arguments de plus pour vLLM, parmi ceux qui sont sans danger."
    )
    vllm_ray_address: str = Field(default="", description="Grappe Ray sur laquelle vLLM s'étend : hôte:port ou auto.")

    @field_validator("ia_engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if value.lower() not in ENGINES:
            raise ValueError(f"moteur inconnu « {value} » ; attendu : {', '.join(ENGINES)}")
        return value.lower()

    @field_validator("ia_adapters", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("vllm_args", mode="before")
    @classmethod
    def _safe_args(cls, value: object) -> object:
        return read_extra_args(value) if isinstance(value, str) else value
