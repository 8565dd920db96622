"""A SQLite database that several processes write to: who waits lets the rest of its process go on."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from common import database
from common.database import Database


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with made.write() as session:
        session.execute(text("CREATE TABLE t (x INTEGER)"))
    yield made
    made.close()


@pytest.fixture
def theirs(ours: Database, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection, which holds the lock."""
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def count(of: Database) -> int:
    with of.read() as session:
        assert session.execute(text("PRAGMA busy_timeout")).scalar_one() == 1000 * database.BUSY_SECONDS
        return int(session.execute(text("SELECT count(*) FROM t")).scalar_one())


def test_a_writer_waits_outside_of_sqlite(
    ours: Database, theirs: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is given back while it sleeps: had SQLite waited, nobody could have."""
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            theirs.execute("COMMIT")

    monkeypatch.setattr(database, "time", SimpleNamespace(monotonic=time.monotonic, sleep=nap))
    with ours.write() as session:
        session.execute(text("INSERT INTO t VALUES (1)"))
    assert len(naps) == 3
    assert count(ours) == 1


def test_it_gives_up_in_the_end(ours: Database, theirs: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(database, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _seconds: None))
    with pytest.raises(OperationalError, match="locked"), ours.write() as session:
        session.execute(text("INSERT INTO t VALUES (1)"))
    assert count(ours) == 0
    theirs.execute("COMMIT")
    clock = iter(range(1000))
    with ours.write() as session:
        session.execute(text("INSERT INTO t VALUES (1)"))
    assert count(ours) == 1
