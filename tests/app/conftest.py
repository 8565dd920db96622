"""app with its own data folder, behind fake services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.database import Database, migrate
from app.factory import create_app
from app.meetings.jobs import MeetingQueue, MeetingWorker, make_huey
from app.meetings.leases import Leases
from app.meetings.store import MeetingStore
from app.peers import connect
from app.settings import AppSettings
from common.settings import load
from tests.app.fakes import ADMIN, SERVICE, FakeServices, tone


@pytest.fixture
def fakes() -> FakeServices:
    return FakeServices()


@pytest.fixture
def settings(fakes: FakeServices, serve: Callable[..., str], tmp_path: Path) -> AppSettings:
    url = serve(fakes.app())
    return load(
        AppSettings,
        data_dir=tmp_path / "data",
        chat_api_url=url,
        gpt_api_url=url,
        asr_api_url=url,
        diarize_api_url=url,
        admin_token=ADMIN,
        service_token=SERVICE,
        max_upload_mb=2,
        meeting_peer_wait_s=20,
    )


@pytest.fixture
def database(settings: AppSettings) -> Iterator[Database]:
    migrate(settings.database, settings.data_dir)
    opened = Database(settings.database)
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database, settings: AppSettings) -> MeetingStore:
    return MeetingStore(database, settings.uploads_dir)


@pytest.fixture
def leases(database: Database, settings: AppSettings) -> Leases:
    return Leases(database, settings.uploads_dir)


@pytest.fixture
def worker(database: Database, settings: AppSettings) -> MeetingWorker:
    return MeetingWorker(database, connect(settings), settings, make_huey(settings))


@pytest.fixture
def queue(settings: AppSettings) -> MeetingQueue:
    return MeetingQueue(make_huey(settings))


@pytest.fixture
def web(settings: AppSettings) -> Any:
    """The whole application."""
    return create_app(settings)


@pytest.fixture
def client(web: Any) -> Any:
    return web.test_client()


@pytest.fixture
def wav() -> bytes:
    return tone(2.1)
