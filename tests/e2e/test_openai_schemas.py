"""What the real stack answers on /v1, against the schemas that OpenAI publishes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator

from common.audio.decode import AudioReader
from scripts.environment import ROOT
from tests.common.audio_files import wav_bytes
from tests.e2e.stack import Stack

QUESTION = [{"role": "user", "content": "Que sait faire Frigo ?"}]
TOWN = {
    "name": "meteo",
    "description": "Le temps qu'il fait",
    "parameters": {
        "type": "object",
        "properties": {"ville": {"enum": ["Brest", "Paris"]}},
        "required": ["ville"],
        "additionalProperties": False,
    },
}
Check = Callable[[str, str, Any], None]


@pytest.fixture(scope="module")
def api(stack: Stack) -> httpx2.Client:
    return httpx2.Client(base_url=f"{stack.app_url}/v1", timeout=120)


@pytest.fixture(scope="module")
def check(shared_data: Path) -> Check:
    """Fails when a value is not what the schema of that name, in that file, says."""
    documents: dict[str, Any] = {}

    def check(file: str, name: str, value: Any) -> None:
        if file not in documents:
            text = (shared_data / "openai" / f"openapi-{file}.json").read_text(encoding="utf-8")
            documents[file] = json.loads(text, object_hook=_nullable)["components"]
        schema = {"$ref": f"#/components/schemas/{name}", "components": documents[file]}
        errors = [
            f"{error.json_path}: {error.message[:200]}" for error in Draft202012Validator(schema).iter_errors(value)
        ]
        assert errors == [], (name, errors)

    return check


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Some of the published schemas still say `nullable`, which is no JSON Schema."""
    return {"anyOf": [{"type": "null"}, schema]} if schema.get("nullable") is True else schema


def events(answer: httpx2.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def post(api: httpx2.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json={"model": "default", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n": 2, "logprobs": True, "top_logprobs": 2, "seed": 1},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": TOWN}], "tool_choice": "required"},
        {"functions": [TOWN], "function_call": {"name": "meteo"}},
    ],
    ids=["plain", "logprobs", "json", "tools", "functions"],
)
def test_a_chat_is_as_published(api: httpx2.Client, check: Check, options: dict[str, Any]) -> None:
    body = {"messages": QUESTION, "max_tokens": 40, "temperature": 0, **options}
    answer = post(api, "/chat/completions", **body)
    check("chat", "CreateChatCompletionResponse", answer)
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = events(api.post("/chat/completions", json={"model": "default", **body, **stream}))
    for chunk in chunks:
        check("chat", "CreateChatCompletionStreamResponse", chunk)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == answer["usage"]
    told: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            told[choice["index"]] = told.get(choice["index"], "") + (choice["delta"].get("content") or "")
    assert [told[choice["index"]] for choice in answer["choices"]] == [
        choice["message"]["content"] or "" for choice in answer["choices"]
    ]


def test_the_published_example_of_functions_is_answered_with_a_call(api: httpx2.Client, check: Check) -> None:
    tool = {"type": "function", "function": {**TOWN, "strict": True}}
    answer = post(api, "/chat/completions", messages=QUESTION, tools=[tool], tool_choice="required", max_tokens=100)
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert json.loads(call["function"]["arguments"])["ville"] in {"Brest", "Paris"}
    turns = [
        *QUESTION,
        answer["choices"][0]["message"],
        {"role": "tool", "tool_call_id": call["id"], "content": "Pluie"},
    ]
    check("chat", "CreateChatCompletionRequest", {"model": "default", "messages": turns, "tools": [tool]})
    check(
        "chat",
        "CreateChatCompletionResponse",
        post(api, "/chat/completions", messages=turns, tools=[tool], max_tokens=9),
    )


def test_stored_chats_are_as_published(api: httpx2.Client, check: Check) -> None:
    made = post(api, "/chat/completions", messages=QUESTION, max_tokens=5, store=True, metadata={"essai": "schemas"})
    listed = api.get("/chat/completions", params={"metadata[essai]": "schemas"}).json()
    assert [one["id"] for one in listed["data"]] == [made["id"]]
    check("chat", "ChatCompletionList", listed)
    assert api.get(f"/chat/completions/{made['id']}/messages").json()["data"][0]["content"] == QUESTION[0]["content"]
    assert api.delete(f"/chat/completions/{made['id']}").json()["deleted"] is True


def test_a_completion_is_as_published(api: httpx2.Client, check: Check) -> None:
    body = {"prompt": "Frigo", "max_tokens": 5, "temperature": 0}
    check("completions-embeddings", "CreateCompletionResponse", post(api, "/completions", **body, logprobs=2))
    for chunk in events(api.post("/completions", json={"model": "default", **body, "stream": True})):
        for choice in chunk["choices"]:  # the published schema forgets that it is null until the end
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        check("completions-embeddings", "CreateCompletionResponse", chunk)


def test_embeddings_are_as_published(api: httpx2.Client, check: Check) -> None:
    answer = post(api, "/embeddings", input=["Bonjour", "Au revoir"])
    check("completions-embeddings", "CreateEmbeddingResponse", answer)
    assert [one["index"] for one in answer["data"]] == [0, 1]


def test_models_are_as_published(api: httpx2.Client, check: Check) -> None:
    listed = api.get("/models").json()
    check("models", "ListModelsResponse", listed)
    check("models", "Model", api.get(f"/models/{listed['data'][0]['id']}").json())


def test_a_transcription_is_as_published(api: httpx2.Client, check: Check) -> None:
    sample = AudioReader(ROOT / "app" / "sample" / "reunion-exemple.ogg").read()[16_000 : 4 * 16_000]
    for form, name in (
        ("json", "CreateTranscriptionResponseJson"),
        ("verbose_json", "CreateTranscriptionResponseVerboseJson"),
    ):
        data = {"model": "whisper-1", "language": "en", "response_format": form}
        answer = api.post("/audio/transcriptions", data=data, files={"file": ("a.wav", wav_bytes(sample))})
        check("audio", name, answer.json())
    error = api.post("/audio/transcriptions", data={"model": "whisper-1"}, files={"file": ("a.wav", b"RIFF")})
    assert error.status_code == 400
    check("audio", "ErrorResponse", error.json())


def test_errors_are_as_published(api: httpx2.Client, check: Check) -> None:
    for answer in (
        api.post("/chat/completions", json={"messages": []}),
        api.post("/chat/completions", json={"model": "inconnu", "messages": QUESTION}),
        api.get("/chat/completions/inconnu"),
        api.post("/responses", json={"input": "a", "background": True}),
        api.get("/nulle/part"),
    ):
        assert answer.status_code in {400, 404}
        check("chat", "ErrorResponse", answer.json())
