"""Keys are read again only when something was written, by whichever process, and never too late."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from chat.database import open_database
from chat.keys.kept import Kept
from chat.keys.store import KeyStore
from chat.keys.usage import Usage, UsageBook
from chat.settings import ChatSettings


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[KeyStore, KeyStore]]:
    """Those of two processes."""
    databases = [open_database(ChatSettings(data_dir=tmp_path)) for _process in range(2)]
    yield tuple(KeyStore(database, UsageBook(database, 3600)) for database in databases)  # type: ignore[misc]
    for database in databases:
        database.close()


class Counted:
    """How many times a store reads keys from its database from now on."""

    def __init__(self, store: KeyStore) -> None:
        self.reads = 0
        event.listen(store._database.engine, "before_cursor_execute", self._see)

    def _see(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        self.reads += statement.startswith("SELECT")


def test_a_key_is_read_once_and_again_when_something_was_written(stores: tuple[KeyStore, KeyStore]) -> None:
    here, there = stores
    row, key = here.create(name="a")
    counted = Counted(here)
    for _request in range(3):
        holder = here.holder(key)
        assert holder is not None
        assert holder.state == "active"
    assert counted.reads == 1
    there.revoke(row.id)
    revoked = here.holder(key)
    assert revoked is not None
    assert revoked.state == "revoked"
    assert counted.reads == 2
    here.forget(row.id)
    assert here.holder(key) is None


def test_what_is_used_counts_before_and_after_it_is_written(stores: tuple[KeyStore, KeyStore]) -> None:
    here, there = stores
    row, key = here.create(name="a", tokens_per_day=100)

    def used() -> int:
        holder = here.holder(key)
        assert holder is not None
        return holder.tokens_today

    assert used() == 0
    here._book.add(row.id, Usage(completion_tokens=3))
    assert used() == 3
    there._book.add(row.id, Usage(completion_tokens=4))
    assert used() == 3, "another process tells what it counted when it writes it"
    there._book.flush()
    assert used() == 7
    here._book.flush()
    assert used() == 7


def test_a_wrong_secret_is_refused_beside_a_row_that_is_kept(stores: tuple[KeyStore, KeyStore]) -> None:
    here, _there = stores
    _row, key = here.create(name="a")
    assert here.holder(key) is not None
    assert here.holder(key[:-1] + ("a" if key[-1] != "a" else "b")) is None


def test_a_row_read_before_something_was_written_is_not_kept(stores: tuple[KeyStore, KeyStore]) -> None:
    here, there = stores
    kept: Kept[str] = Kept(here._database)
    version = kept.version()
    there.create(name="a")  # between the reading of the row and its keeping
    later = kept.version()
    kept.put("a", "old", version)
    assert later != version
    assert kept.get("a", later) is None
    kept.put("a", "new", later)
    assert kept.get("a", kept.version()) == "new"
