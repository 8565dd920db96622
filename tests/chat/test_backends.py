"""GPT_API_URL with several addresses, as a client of chat sees it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.chat.fake_gpt import FakeGpt

CHAT = {"messages": [{"role": "user", "content": "abc"}]}
Make = Callable[..., FlaskClient]


@pytest.fixture
def second() -> FakeGpt:
    return FakeGpt()


@pytest.mark.parametrize("stream", [False, True])
def test_a_gpt_that_dies_before_it_answers_is_replaced(
    make_client: Make, serve: Callable[..., str], second: FakeGpt, stream: bool
) -> None:
    met: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as dying:

        def die() -> None:
            with dying.accept()[0] as connection:
                met.append(connection.recv(65536))

        thread = threading.Thread(target=die, daemon=True)
        thread.start()
        client = make_client(gpt_api_url=f"http://127.0.0.1:{dying.getsockname()[1]},{serve(second.app)}")
        answer = client.post("/v1/chat/completions", json={**CHAT, "stream": stream, "max_tokens": 2})
        thread.join(30)
    assert met
    assert answer.status_code == 200
    assert ("é1" if stream else "cba") in answer.get_data(as_text=True)
    assert len(second.requests) == 1


def test_a_gpt_that_dies_in_its_answer_is_not_asked_for_elsewhere(
    make_client: Make, serve: Callable[..., str], gpt: FakeGpt, gpt_url: str, second: FakeGpt
) -> None:
    client = make_client(gpt_api_url=f"{gpt_url},{serve(second.app)}")
    body = {**CHAT, "stream": True, "max_tokens": 9, "breaks_after": 2}
    text = client.post("/v1/chat/completions", json=body).get_data(as_text=True)
    events = [block for block in text.split("\n\n") if block]
    assert "é1" in events[1]
    assert json.loads(events[2].partition("data: ")[2])["error"]["code"] == "peer_broken"
    assert (len(gpt.requests), len(second.requests)) == (1, 0)
