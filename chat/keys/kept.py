"""Rows of keys kept between two requests for as long as nobody has written to the database.

SQLite tells at once, and for some microseconds, whether any connection of any process has committed something (``PRAGMA
data_version``): a key that is revoked is refused from the next request on, in every process, as if its row were read
each time. Usage is written every second, which is therefore how long a row is kept at most under load. PostgreSQL has
no such question: nothing is kept there.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Generic, TypeVar

from common.database import Database

_MOST = 1000
Row = TypeVar("Row")


class Kept(Generic[Row]):
    """`Row`s by name, for one process."""

    def __init__(self, database: Database) -> None:
        url = database.engine.url
        self._file = url.database if url.get_backend_name() == "sqlite" and url.database else None
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._version: int | None = None
        self._rows: dict[object, Row] = {}

    def version(self) -> int | None:
        """Of what the database holds now; None when it does not tell. To be asked before the database is read."""
        if self._file is None or self._file == ":memory:":
            return None
        with self._lock:
            version = self._now()
            if version != self._version:
                self._version = version
                self._rows.clear()
        return version

    def get(self, name: object, version: int | None) -> Row | None:
        """The row, when it was read while the database was at `version`."""
        with self._lock:
            return self._rows.get(name) if version is not None and version == self._version else None

    def put(self, name: object, row: Row, version: int | None) -> None:
        """Keep a row that was read after `version` was asked, unless something was written since."""
        with self._lock:
            if version is None or version != self._version:
                return
            if len(self._rows) >= _MOST:
                self._rows.clear()
            self._rows[name] = row

    def _now(self) -> int:
        if self._connection is None:
            # Of its own: a connection is not told of what it has written itself.
            self._connection = sqlite3.connect(str(self._file), isolation_level=None, check_same_thread=False)
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)
