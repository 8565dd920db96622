"""DATABASE_URL: stored completions on a real PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from chat.database import open_database
from chat.openai.stored.models import StoredCompletion
from chat.openai.stored.store import CompletionStore
from chat.settings import ChatSettings
from common.database import utc_now
from common.errors import ApiError
from common.settings import load
from tests.app.test_postgresql import url as url


def test_completions_are_kept(url: str, tmp_path: Path) -> None:
    database = open_database(load(ChatSettings, database_url=url, data_dir=tmp_path))
    store = CompletionStore(database, most=3, days=30)
    now = utc_now()
    for n in range(5):
        store.save(
            StoredCompletion(
                id=f"c-{n}",
                key_id=None,
                created_at=now - timedelta(minutes=5 - n),
                model="m",
                labels={"n": str(n), "nul": "\0"},
                messages=[{"role": "user", "content": "\0é"}],
                answer={"id": f"c-{n}"},
            )
        )

    def ids(**query: object) -> list[str]:
        asked = {"after": None, "limit": 9, "order": "asc", "models": None, "labels": {}, **query}
        return [row.id for row in store.page(None, **asked).rows]  # type: ignore[arg-type]

    assert ids() == ["c-2", "c-3", "c-4"]
    assert ids(order="desc", limit=2) == ["c-4", "c-3"]
    assert ids(after="c-2", models=["m", "\0"], labels={"n": "4"}) == ["c-4"]
    assert store.relabel("c-3", None, {"n": "trois"}).labels == {"n": "trois"}
    assert ids(labels={"n": "trois"}) == ["c-3"]
    store.remove("c-3", None)
    for name in ("c-3", "c-0", "\0"):
        with pytest.raises(ApiError):
            store.one(name, None)
    database.close()
