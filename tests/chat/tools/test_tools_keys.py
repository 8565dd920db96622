"""What tools run by the server use is counted for the key that asked, all rounds together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from chat.tools.rounds import Rounds
from tests.chat.scripted_gpt import ScriptedGpt, call
from tests.chat.test_key_usage import used
from tests.chat.test_keys import make

ASKED = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "?"}],
    "tools": [{"type": "frigo", "name": "calculatrice"}],
}


@pytest.fixture
def client(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    return make_client(service_token="s3cret")


@pytest.fixture
def scripted(client: FlaskClient, front: tuple[Any, str]) -> ScriptedGpt:
    """In the place of the gpt that `client` brings."""
    fake = ScriptedGpt()
    front[0].app = fake.app
    return fake


def test_all_rounds_are_counted(client: FlaskClient, scripted: ScriptedGpt) -> None:
    key_id, holder = make(client, name="a")
    for streamed in (False, True):
        scripted.enqueue([call("calculatrice", expression="1+1")], ["2"])
        answer = client.post("/v1/chat/completions", json={**ASKED, "stream": streamed}, headers=holder)
        assert answer.status_code == 200
        assert ('"usage"' in answer.get_data(as_text=True)) is not streamed  # a stream's reader had not asked
    used(client, key_id, requests=2, prompt_tokens=10 + 20 + 30 + 40, completion_tokens=1 + 2 + 3 + 4)


def test_a_reader_who_leaves_owes_the_rounds_that_were_done(client: FlaskClient, scripted: ScriptedGpt) -> None:
    key_id, holder = make(client, name="a")
    scripted.enqueue([call("calculatrice", expression="1+1")], ["Un ", "deux"])
    answer = client.post("/v1/chat/completions", json={**ASKED, "stream": True}, headers=holder, buffered=False)
    for chunk in answer.response:
        if b'"Un' in chunk:
            break
    answer.close()
    used(client, key_id, requests=1, prompt_tokens=10, completion_tokens=1 + 1)


def test_a_key_has_only_its_models(client: FlaskClient, scripted: ScriptedGpt) -> None:
    _key_id, holder = make(client, name="a", models=["other"])
    answer = client.post("/v1/chat/completions", json=ASKED, headers=holder)
    assert (answer.status_code, answer.json["error"]["code"]) == (403, "model_not_found")
    assert scripted.requests == []


def test_a_key_of_an_alias_has_the_room_of_its_model(
    make_client: Callable[..., FlaskClient], front: tuple[Any, str]
) -> None:
    client = make_client(service_token="s3cret", model_aliases="gpt-4o=tiny")
    front[0].app = (scripted := ScriptedGpt()).app
    scripted.models = [{**scripted.models[0], "context": 100_000}]
    _key_id, holder = make(client, name="a", models=["gpt-4o"])
    scripted.enqueue([call("date", operation="feries")], ["Voilà."])
    asked = {**ASKED, "model": "gpt-4o", "tools": [{"type": "frigo", "name": "date"}]}
    runs = [{"name": "date", "round": 1, "state": "done"}]
    asked["messages"] = [{"role": "assistant", "content": "x", "tool_runs": runs}, *ASKED["messages"]]
    rooms: list[int] = []
    told = Rounds.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rounds, "__init__", lambda self, *given: (rooms.append(given[3]), told(self, *given))[1])
        assert client.post("/v1/chat/completions", json=asked, headers=holder).status_code == 200
    assert rooms == [125_000]
