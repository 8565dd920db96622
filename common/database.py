"""A service's database: SQLite in WAL mode by default, else DATABASE_URL. Migrations run at start, under a lock.

Each service has its own tables, its own migrations and, in a database that several share, its own table of versions.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, Engine, MetaData, create_engine, event, make_url, text
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeDecorator

_MIGRATION_LOCK = 7_046_511  # any constant: PostgreSQL's advisory lock of Frigo's migrations
BUSY_SECONDS = 15
_RETRY_SECONDS = 0.002


def named_metadata() -> MetaData:
    """Metadata whose constraints have fixed names, so that a migration can name them on every database."""
    return MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always aware and in UTC (SQLite forgets the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def utc_now() -> datetime:
    return datetime.now(UTC)


class Database:
    """Short transactions. Never wait for anything but the database inside one: workers may be greenlets."""

    def __init__(self, url: str) -> None:
        self._sqlite = make_url(url).get_backend_name() == "sqlite"
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}} if self._sqlite else {}
        self.engine: Engine = create_engine(url, pool_pre_ping=not self._sqlite, **options)
        # One writer of this process at a time, in their order: those of the others are waited for by polling.
        self._turn: AbstractContextManager[object] = threading.Lock() if self._sqlite else nullcontext()
        if self._sqlite:
            event.listen(self.engine, "connect", _sqlite_connect)
            event.listen(self.engine, "begin", _sqlite_begin)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session to look at rows; what it changes is thrown away."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that may change rows, committed at the end of the block unless it raises."""
        bind = self.engine.execution_options(frigo_write=True)
        with self._turn, Session(bind, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        self.engine.dispose()


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _sqlite_begin, not by the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    # Who will write takes the lock at once: a read that turns into a write would fail instead of waiting.
    if not connection.get_execution_options().get("frigo_write"):
        connection.exec_driver_sql("BEGIN")
    else:
        _sqlite_lock(connection)


def _sqlite_lock(connection: Connection) -> None:
    """Wait for the writers of other processes here, and not inside SQLite, where all greenlets of this one would."""
    until = time.monotonic() + BUSY_SECONDS
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while time.monotonic() < until:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    break
                time.sleep(_RETRY_SECONDS)
            else:
                return
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # what is wrong, in SQLAlchemy's words
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def migrate(url: str, lock_dir: Path, migrations: Path) -> None:
    """Bring the tables up to date with Alembic's folder `migrations`, whose ``env.py`` uses the connection given.

    Any number of processes may call it at once, on a host (`lock_dir`) or, with PostgreSQL, on several: one works, the
    others wait.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations))
    database = Database(url)
    try:
        with _one_at_a_time(database, lock_dir), database.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()


@contextmanager
def _one_at_a_time(database: Database, lock_dir: Path) -> Iterator[None]:
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
        return
    lock_dir.mkdir(parents=True, exist_ok=True)
    with (lock_dir / "migrations.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
