"""DATABASE_URL: keys and usage on a real PostgreSQL, beside app's own tables."""

from __future__ import annotations

import threading
from pathlib import Path

from app.database import Database as AppDatabase
from app.database import migrate as migrate_app
from app.settings import AppSettings
from chat.database import open_database
from chat.keys.store import KeyStore
from chat.keys.usage import Usage, UsageBook
from chat.settings import ChatSettings
from common.settings import load
from tests.app.test_postgresql import url as url


def test_chat_and_app_share_a_database(url: str, tmp_path: Path) -> None:
    app = load(AppSettings, database_url=url, data_dir=tmp_path)
    migrate_app(app.database, tmp_path)
    database = open_database(load(ChatSettings, database_url=url, data_dir=tmp_path))
    migrate_app(app.database, tmp_path)
    other = AppDatabase(app.database)
    assert other.check() == "ready"
    other.close()

    books = [UsageBook(database, flush_seconds=3600) for _ in range(4)]
    store = KeyStore(database, books[0])
    made = [store.create(name=name, models=["m"], tokens_per_day=50) for name in "ab"]
    for book in books:
        for row, _key in made:
            book.add(row.id, Usage(1, 2, 3, 0.5))
    writers = [threading.Thread(target=book.flush) for book in books]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [day.used for day in store.usage(1)] == [Usage(4, 8, 12, 2.0)] * 2
    holder = store.holder(made[0][1])
    assert holder is not None
    assert (holder.models, holder.tokens_today, holder.state) == (("m",), 20, "active")
    store.revoke(made[0][0].id)
    revoked = store.holder(made[0][1])
    assert revoked is not None
    assert revoked.state == "revoked"
    store.forget(made[1][0].id)
    assert store.holder(made[1][1]) is None
    database.close()
