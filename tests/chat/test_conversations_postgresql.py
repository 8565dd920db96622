"""DATABASE_URL: conversations on a real PostgreSQL, found as on SQLite."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from chat.conversations.store import ConversationStore
from chat.database import open_database
from chat.settings import ChatSettings
from common.errors import ApiError
from common.settings import load
from tests.app.test_postgresql import url as url


def test_conversations_are_kept_and_found(url: str, tmp_path: Path) -> None:
    database = open_database(load(ChatSettings, database_url=url, data_dir=tmp_path))
    store = ConversationStore(database)
    made = store.create(None, messages=[{"role": "user", "content": "Où est l'Œuf de l'École à 100 % ?"}])
    other = store.create(None, "Été_2", "frigo-mini")

    def found(search: str) -> list[str]:
        return [one.row.id for one in store.listed(None, search, 10)[0]]

    assert found("oeuf ecole") == found("100 %") == [made.row.id]
    assert found("ETE") == found("e_2") == [other.row.id]
    assert found("l_e") == []
    assert found("") == [other.row.id, made.row.id]
    assert [one.row.id for one in store.listed(None, "", 10, other.row.id)[0]] == [made.row.id]
    assert store.listed(None, "oeuf", 1)[0][0].excerpt == "Où est l'Œuf de l'École à 100 % ?"

    values = {"role": "user", "content": "x", "tool_runs": [{"result": "é"}], "usage": {"total_tokens": 1}}
    adding = [threading.Thread(target=store.add, args=(None, made.row.id, values)) for _ in range(8)]
    for one in adding:
        one.start()
    for one in adding:
        one.join(60)
    messages = store.whole(None, made.row.id).messages
    assert [message.position for message in messages] == list(range(9))  # one after the other
    assert [message.parent_id for message in messages[1:]] == [message.id for message in messages[:-1]]

    store.keep(messages[-1].id, {"content": "Fini : été", "state": "done"})
    assert found("fini ete") == [made.row.id]
    assert store.listed("key", "", 10) == ([], False)
    store.delete(None, other.row.id)
    with pytest.raises(ApiError):
        store.whole(None, other.row.id)
    assert store.delete_all(None) == 1
    database.close()
