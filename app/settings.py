"""What app reads from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from common.settings import ServiceSettings, WebAddresses, database_address


class AppSettings(ServiceSettings):
    """The web application: gateway, meetings, supervision."""

    port: int = Field(default=5000, ge=1, le=65535, description="Port d'écoute (celui de Render l'emporte).")
    main_app_url: WebAddresses | None = Field(
        default=None, description="Adresse publique de l'application, si elle en a une."
    )
    chat_api_url: WebAddresses = Field(
        default="http://127.0.0.1:5001", description="Service chat (virgules : répliques)."
    )
    gpt_api_url: WebAddresses = Field(default="http://127.0.0.1:5002", description="Service gpt.")
    asr_api_url: WebAddresses = Field(default="http://127.0.0.1:5003", description="Service asr.")
    diarize_api_url: WebAddresses = Field(default="http://127.0.0.1:5004", description="Service diarize.")
    database_url: str | None = Field(default=None, description="Base SQLAlchemy ; vide : SQLite dans DATA_DIR.")
    redis_url: str | None = Field(
        default=None, description="File des travaux dans Redis ; vide : SQLite dans DATA_DIR."
    )
    admin_token: SecretStr | None = Field(
        default=None, description="Jeton de la supervision ; vide : créé au démarrage."
    )
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=list, description="Noms d'hôte acceptés, séparés par des virgules ; vide : tous."
    )
    host_port: int | None = Field(
        default=None, ge=1, le=65535, description="Port de la machine où Compose publie la page ; vide : PORT."
    )
    published_address: str | None = Field(
        default=None, description="Adresse de la machine où Compose publie la page (son HOST_BIND_ADDRESS)."
    )
    advertised_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Noms ou adresses annoncés au démarrage d'un conteneur, séparés par des virgules.",
    )
    meeting_workers: int = Field(default=2, ge=1, le=64, description="Réunions traitées en même temps par un worker.")
    meeting_peer_wait_s: float = Field(
        default=600.0, ge=0, description="Temps pendant lequel une étape attend un service arrêté, en secondes."
    )
    meeting_max_hours: float = Field(default=8.0, gt=0, le=48, description="Durée maximale d'une réunion, en heures.")

    @field_validator("allowed_hosts", "advertised_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            return [host.strip().lower() for host in value.split(",") if host.strip()]
        return value

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in use."""
        return database_address(self.database_url, self.data_dir / "frigo.db")

    @property
    def uploads_dir(self) -> Path:
        return (self.data_dir / "uploads").absolute()
