"""Typed settings from the environment: one class per service, wrong values refused with the variable's name.

Environment names are the upper-cased field names. Any secret may also come from a file named by ``NAME_FILE``
(Docker and Kubernetes secrets). An empty variable counts as unset, so that Compose's ``${NAME:-}`` is harmless.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from common.reasons import reason

MAX_SECRET_FILE_BYTES = 64 * 1024
_HOST_PORT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*:\d{1,5}")


def _web_addresses(value: str) -> str:
    urls = [part.strip() for part in value.split(",") if part.strip()]
    urls = [f"http://{url}" if _HOST_PORT.fullmatch(url) else url for url in urls]  # what Render's `hostport` gives
    for parts in map(urlsplit, urls):
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("une adresse http(s)://hôte[:port] est attendue")
    if not urls:
        raise ValueError("une adresse http(s)://hôte[:port] est attendue")
    return ",".join(urls)


WebAddresses = Annotated[str, AfterValidator(_web_addresses)]
"""The address of a service, or those of its replicas, separated by commas."""


class SettingsError(Exception):
    """A variable has a value that cannot be used; the message names it."""


class _SecretFiles(PydanticBaseSettingsSource):
    """``NAME_FILE``: the value of NAME is the content of that file, without the trailing new line."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        path = os.environ.get(f"{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            with Path(path).open(encoding="utf-8") as file:
                return file.read(MAX_SECRET_FILE_BYTES).strip(), field_name, False
        except OSError as error:
            reason = error.strerror or "illisible"
            raise SettingsError(f"{field_name.upper()}_FILE : {reason} ({path}).") from error

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _complex = self.get_field_value(field, name)
            if value:
                found[key] = value
        return found


class ServiceSettings(BaseSettings):
    """What every service reads. Services add their own fields in ``<service>/settings.py``."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", case_sensitive=False)

    port: int = Field(default=5000, ge=1, le=65535, description="Port d'écoute (celui de Render l'emporte).")
    data_dir: Path = Field(default=Path("data"), description="Dossier des données persistantes.")
    log_dir: Path | None = Field(default=None, description="Dossier du journal tournant ; vide : sortie standard.")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING ou ERROR.")
    service_token: SecretStr | None = Field(default=None, description="Secret partagé entre les services.")
    openai_api_keys: Annotated[list[SecretStr], NoDecode] = Field(
        default_factory=list,
        description="Clés acceptées sur /v1, séparées par des virgules ; vide : accès libre.",
    )
    max_upload_mb: int = Field(default=512, ge=1, le=1024 * 1024, description="Taille maximale d'un envoi, en Mo.")

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        level = value.upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise ValueError("attendu : DEBUG, INFO, WARNING ou ERROR")
        return level

    @field_validator("log_dir")
    @classmethod
    def _writable(cls, value: Path | None) -> Path | None:
        try:
            if value is not None:
                value.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=value):
                    return value
        except OSError as error:
            raise ValueError(f"on ne peut pas écrire dans {value} ({error.strerror})") from error
        return None

    @field_validator("openai_api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        if isinstance(value, str):
            return [key.strip() for key in value.split(",") if key.strip()]
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _SecretFiles(settings_cls)

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_mb * 1024 * 1024


def database_address(database_url: str | None, sqlite_file: Path) -> str:
    """The SQLAlchemy URL: DATABASE_URL's, else the SQLite file. Render still says ``postgres://``, which it refuses."""
    if database_url is None:
        return f"sqlite:///{sqlite_file.absolute()}"
    for old in ("postgres://", "postgresql://"):
        if database_url.startswith(old):
            return "postgresql+psycopg://" + database_url.removeprefix(old)
    return database_url


S = TypeVar("S", bound=ServiceSettings)


def load(cls: type[S], **overrides: object) -> S:
    """Read `cls` from the environment (`overrides` win). Raises `SettingsError` that names the variable."""
    try:
        return cls(**overrides)  # type: ignore[arg-type]  # checked by pydantic itself
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_input=False, include_url=False):
            name = str(problem["loc"][0]).upper() if problem["loc"] else "?"
            lines.append(f"{name} : {reason(problem)}")
        raise SettingsError(" ; ".join(dict.fromkeys(lines))) from error


def load_or_exit(cls: type[S]) -> S:
    """`load` for a ``wsgi.py``: a wrong variable stops the process with one sentence and no traceback.

    The exit status is gunicorn's "application failed to load", so that its master does not respawn workers.
    """
    try:
        return load(cls)
    except SettingsError as error:
        sys.stderr.write(f"Configuration refusée — {error}\n")
        sys.exit(4)
