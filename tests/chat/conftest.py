"""chat over a scripted gpt and the real Mermaid parser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from chat.diagrams.parser import MermaidParser
from chat.factory import create_app
from chat.llm import LanguageModel
from chat.settings import ChatSettings
from common.web.client import Peer
from tests.chat.fake_gpt import FakeGpt


@pytest.fixture(scope="session")
def mermaid_parser() -> Iterator[MermaidParser]:
    """One Node process for the session."""
    parser = MermaidParser()
    if reason := parser.missing():
        pytest.skip(str(reason))
    yield parser
    parser.close()


@pytest.fixture
def gpt() -> FakeGpt:
    return FakeGpt()


@pytest.fixture
def gpt_url(gpt: FakeGpt, serve: Callable[..., str]) -> str:
    return serve(gpt.app)


@pytest.fixture
def llm(gpt_url: str) -> LanguageModel:
    return LanguageModel(Peer("gpt", gpt_url))


@pytest.fixture
def make_client(gpt_url: str, mermaid_parser: MermaidParser) -> Callable[..., FlaskClient]:
    """A client of chat; keyword arguments are its settings."""

    def make(**settings: Any) -> FlaskClient:
        values = {"gpt_api_url": gpt_url, "log_level": "WARNING", **settings}
        return create_app(ChatSettings(**values), parser=mermaid_parser).test_client()

    return make


@pytest.fixture
def client(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    return make_client()
