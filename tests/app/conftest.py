"""app with its own data folder, behind fake services."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from app.database import Database, migrate
from app.factory import create_app
from app.meetings.jobs import MeetingQueue, MeetingWorker, make_huey
from app.meetings.leases import Leases
from app.meetings.store import MeetingStore
from app.peers import connect
from app.settings import AppSettings
from common.settings import load
from tests.app.fakes import ADMIN, SERVICE, FakeServices, Upstream, tone
from tests.app.processes import environment, start_web
from tests.ports import free_port


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


@pytest.fixture(scope="session")
def upstream() -> Iterator[tuple[Upstream, str]]:
    state = Upstream()
    server = make_server("127.0.0.1", 0, state.app(), threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield state, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def gateway_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="session")
def gateway(upstream: tuple[Upstream, str], gateway_data: Path) -> Iterator[str]:
    """app under gunicorn, in front of `upstream` (asr is down there)."""
    port = free_port()
    url = upstream[1]
    env = environment(
        data_dir=gateway_data, chat_api_url=url, gpt_api_url=url, asr_api_url="http://127.0.0.1:9", diarize_api_url=url,
        service_token=SERVICE, max_upload_mb=8, admin_token="x",
    )  # fmt: skip
    process = start_web(env, port, gateway_data / "log")
    yield f"http://127.0.0.1:{port}"
    process.kill()  # its kept-alive connections would make it wait
