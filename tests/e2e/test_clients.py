"""What clients that people use were seen to send, word for word in its shape, through app to the embedded models."""

import json
import urllib.request
from typing import Any

import numpy as np
import openai
import pytest

from tests.common.audio_files import wav_bytes
from tests.e2e.stack import Stack

QUESTION = "Que sait faire Frigo ?"


@pytest.fixture(scope="module")
def client(stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.app_url}/v1", api_key="none", max_retries=0, timeout=120)


def text_of(stream: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def test_open_webui_joins_all_its_tools_to_every_question(client: openai.OpenAI) -> None:
    """0.12.4: 36 functions, 26 000 characters, five times what frigo-mini holds, and no tool_choice."""
    schema = {"type": "object", "properties": {"id": {"type": "string", "description": "The ID of the event. " * 20}}}
    tools: Any = [
        {"type": "function", "function": {"name": f"tool_{at}", "description": "Search. " * 40, "parameters": schema}}
        for at in range(36)
    ]
    messages: Any = [{"role": "user", "content": QUESTION}]
    asked: dict[str, Any] = {"model": "frigo-mini", "messages": messages, "temperature": 0}
    with_tools = text_of(client.chat.completions.create(**asked, tools=tools, stream=True))
    assert with_tools == client.chat.completions.create(**asked).choices[0].message.content != ""
    flat: Any = [{"type": "function", "strict": False, **tool["function"]} for tool in tools]
    part: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}
    said = client.responses.create(model="frigo-mini", input=[part], tools=flat, temperature=0)
    assert said.output_text == with_tools


def test_open_webui_sends_speech_without_saying_what_it_is(stack: Stack) -> None:
    """Each field has a type, the recording none but octet-stream, and the name of what it was before."""
    sound = wav_bytes(np.zeros(8_000, dtype=np.float32))
    lines = [
        *(b"--limite", b"Content-Type: text/plain; charset=utf-8"),
        *(b'Content-Disposition: form-data; name="model"', b"", b"whisper-1"),
        *(b"--limite", b"Content-Type: text/plain; charset=utf-8"),
        *(b'Content-Disposition: form-data; name="language"', b"", b"en"),
        *(b"--limite", b"Content-Type: application/octet-stream"),
        *(b'Content-Disposition: form-data; name="file"; filename="2b5bb2f8.mp3"', b"", sound, b"--limite--", b""),
    ]
    headers = {"Content-Type": "multipart/form-data; boundary=limite"}
    sent = urllib.request.Request(f"{stack.app_url}/v1/audio/transcriptions", b"\r\n".join(lines), headers)
    with urllib.request.urlopen(sent, timeout=120) as answer:
        assert json.load(answer)["text"] == ""


def test_open_webui_embeds_several_texts_without_a_format(stack: Stack) -> None:
    body = json.dumps({"input": ["Frigo transcrit.", "Paris est en France."], "model": "default"}).encode()
    sent = urllib.request.Request(f"{stack.app_url}/v1/embeddings", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(sent, timeout=120) as answer:
        found = json.load(answer)["data"]
    assert [(one["index"], len(one["embedding"])) for one in found] == [(0, 256), (1, 256)]


def test_instructor_imposes_a_call_and_a_form_at_once(client: openai.OpenAI) -> None:
    """1.17 in RESPONSES_TOOLS: the same schema as the text's format and as the function to call."""
    schema: Any = {
        "type": "object",
        "properties": {"pays": {"enum": ["France", "Italie"], "title": "Pays", "type": "string"}},
        "required": ["pays"],
        "additionalProperties": False,
    }
    said = client.responses.create(
        model="default",
        input=[{"role": "user", "content": "Paris"}],
        text={"format": {"type": "json_schema", "name": "Ville", "strict": True, "schema": schema}},
        tool_choice={"type": "function", "name": "Ville"},
        tools=[{"type": "function", "name": "Ville", "parameters": schema, "description": "Correctly", "strict": None}],
    )
    (call,) = said.output
    assert call.type == "function_call"
    assert json.loads(call.arguments)["pays"] in {"France", "Italie"}
