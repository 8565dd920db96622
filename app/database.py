"""app's tables, and how they are brought up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase

from common import database
from common.database import UtcDateTime, named_metadata, utc_now

__all__ = ["Base", "Database", "UtcDateTime", "migrate", "utc_now"]
_MIGRATIONS = Path(__file__).resolve().parent / "migrations"


class Base(DeclarativeBase):
    """Tables of app."""

    metadata = named_metadata()


class Database(database.Database):
    """app's database."""

    def check(self) -> str:
        """ "ready", or what is wrong. Raises SQLAlchemy's error when the database cannot be read."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1 FROM meetings LIMIT 1"))
        return "ready"


def migrate(url: str, lock_dir: Path) -> None:
    """Bring app's tables up to date, whoever else does the same."""
    database.migrate(url, lock_dir, _MIGRATIONS)
