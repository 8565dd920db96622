"""chat over a scripted gpt and the real Mermaid parser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from chat.diagrams.parser import MermaidParser
from chat.factory import create_app
from chat.llm import LanguageModel
from chat.settings import ChatSettings
from common.web.client import Peer
from tests.chat.fake_gpt import FakeGpt


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """What keys count by the day is counted at noon: no test goes on over midnight."""
    moment = datetime.now(UTC).replace(hour=12, minute=0)
    for module in ("usage", "account"):
        monkeypatch.setattr(f"chat.keys.{module}.utc_now", lambda: moment)
    return moment


@pytest.fixture(scope="session")
def mermaid_parser() -> Iterator[MermaidParser]:
    """One Node process for the session."""
    parser = MermaidParser()
    if reason := parser.missing():
        pytest.skip(str(reason))
    yield parser
    parser.close()


class _Front:
    """One HTTP server for the session, in front of the gpt of each test."""

    app: Any = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


@pytest.fixture(scope="session")
def front() -> Iterator[tuple[_Front, str]]:
    application = _Front()
    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield application, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def gpt(front: tuple[_Front, str]) -> FakeGpt:
    fake = FakeGpt()
    front[0].app = fake.app
    return fake


@pytest.fixture
def gpt_url(gpt: FakeGpt, front: tuple[_Front, str]) -> str:
    return front[1]


@pytest.fixture
def llm(gpt_url: str) -> LanguageModel:
    return LanguageModel(Peer("gpt", gpt_url))


@pytest.fixture
def make_client(gpt_url: str, mermaid_parser: MermaidParser, tmp_path: Path) -> Callable[..., FlaskClient]:
    """A client of chat; keyword arguments are its settings."""

    def make(**settings: Any) -> FlaskClient:
        values = {"gpt_api_url": gpt_url, "log_level": "WARNING", "data_dir": tmp_path / "data", **settings}
        return create_app(ChatSettings(**values), parser=mermaid_parser).test_client()

    return make


@pytest.fixture
def client(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    return make_client()
