"""The real OpenAI client on /v1/responses, and on chats that are stored, through app to the embedded model."""

import json
from typing import Literal

import openai
import pytest
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

from tests.e2e.stack import Stack

QUESTION = "Que sait faire Frigo ?"
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "meteo",
    "description": "Le temps qu'il fait",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"ville": {"enum": ["Brest", "Paris"]}},
        "required": ["ville"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def client(stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.app_url}/v1", api_key="none", max_retries=0, timeout=120)


def test_a_response_and_its_stream_say_the_same(client: openai.OpenAI) -> None:
    whole = client.responses.create(model="default", input=QUESTION, temperature=0)
    with client.responses.stream(model="default", input=QUESTION, temperature=0) as events:
        pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
        final = events.get_final_response()
    assert len(pieces) > 1
    assert "".join(pieces) == final.output_text == whole.output_text != ""
    assert final.usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.output_tokens > 1
    chat = client.chat.completions.create(
        model="default", messages=[{"role": "user", "content": QUESTION}], temperature=0
    )
    assert chat.choices[0].message.content == whole.output_text


def test_a_function_is_called_and_answered(client: openai.OpenAI) -> None:
    asked = client.responses.create(
        model="default", input=QUESTION, tools=[WEATHER], tool_choice="required", max_output_tokens=100
    )
    (call,) = [item for item in asked.output if item.type == "function_call"]
    assert json.loads(call.arguments)["ville"] in {"Brest", "Paris"}
    after = client.responses.create(
        model="default",
        input=[
            {"role": "user", "content": QUESTION},
            {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
            {"type": "function_call_output", "call_id": call.call_id, "output": "Pluie"},
        ],
        tools=[WEATHER],
        tool_choice="none",
        max_output_tokens=5,
    )
    assert after.usage is not None
    assert asked.usage is not None
    assert after.usage.input_tokens > 0


def test_an_object_is_parsed(client: openai.OpenAI) -> None:
    class Answer(BaseModel):
        said: Literal["oui", "non"]

    parsed = client.responses.parse(model="default", input="Il pleut ?", text_format=Answer).output_parsed
    assert parsed is not None
    assert parsed.said in {"oui", "non"}


def test_what_is_cut_short_says_so(client: openai.OpenAI) -> None:
    short = client.responses.create(model="default", input=QUESTION, max_output_tokens=2)
    assert short.status == "incomplete"
    assert short.incomplete_details is not None
    assert short.incomplete_details.reason == "max_output_tokens"


def test_a_stored_chat_is_found_again(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="default",
        messages=[{"role": "user", "content": QUESTION}],
        max_tokens=5,
        store=True,
        metadata={"essai": "client"},
        stream=True,
    ) as stream:
        said = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    (kept,) = list(client.chat.completions.list(metadata={"essai": "client"}))
    assert kept.choices[0].message.content == said
    (message,) = list(client.chat.completions.messages.list(kept.id))
    assert message.content == QUESTION
    changed = client.chat.completions.update(kept.id, metadata={"essai": "autre"})
    assert changed.id == kept.id
    assert list(client.chat.completions.list(metadata={"essai": "client"})) == []
    assert client.chat.completions.delete(kept.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(kept.id)
