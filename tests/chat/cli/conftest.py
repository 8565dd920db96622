"""chat for the command line, over a scripted gpt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.serving import make_server

from chat.diagrams.parser import MermaidParser
from chat.factory import create_app
from chat.settings import ChatSettings
from tests.chat.scripted_gpt import ScriptedGpt


@pytest.fixture(scope="package")
def chat_url(
    front: tuple[Any, str], mermaid_parser: MermaidParser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A chat that asks for a key, k1, or for the services' token, s3cret."""
    settings = ChatSettings(
        gpt_api_url=front[1],
        log_level="WARNING",
        data_dir=tmp_path_factory.mktemp("data"),
        openai_api_keys="k1",
        service_token="s3cret",
    )
    server = make_server("127.0.0.1", 0, create_app(settings, parser=mermaid_parser), threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def scripted(front: tuple[Any, str]) -> ScriptedGpt:
    fake = ScriptedGpt()
    front[0].app = fake.app
    return fake
