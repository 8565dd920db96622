"""chat's tables, and how they are brought up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import DeclarativeBase

from chat.settings import ChatSettings
from common.database import Database, migrate, named_metadata

VERSION_TABLE = "alembic_version_chat"  # app may keep its own tables in the same database
_MIGRATIONS = Path(__file__).resolve().parent / "migrations"


class Base(DeclarativeBase):
    """Tables of chat."""

    metadata = named_metadata()


def open_database(settings: ChatSettings) -> Database:
    """chat's database, its tables up to date."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(settings.database, settings.data_dir, _MIGRATIONS)
    return Database(settings.database)
