"""/v1/responses, driven by the real openai client over a scripted gpt: its streams are those that OpenAI gave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import openai
import pytest
from flask.testing import FlaskClient
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from chat.openai.responses.body import ResponseBody
from chat.openai.responses.routes import told
from chat.openai.responses.writing import Writing
from tests.chat.fake_gpt import FakeGpt
from tests.chat.test_keys import SERVICE, make

Make = Callable[..., FlaskClient]
PATH = "/v1/responses"
WEATHER = {
    "type": "function",
    "name": "meteo",
    "description": "Le temps qu'il fait",
    "parameters": {"type": "object", "properties": {"ville": {"type": "string"}}, "required": ["ville"]},
    "strict": True,
}
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture
def client(make_client: Make) -> FlaskClient:
    return make_client(service_token="s3cret")


@pytest.fixture
def openai_client(client: FlaskClient, serve: Callable[..., str]) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{serve(client.application)}/v1", api_key="none", max_retries=0, default_headers=SERVICE
    )


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **fields}
    body = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "qwen3-4b", "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n".encode()


def usage(read: int, written: int) -> bytes:
    used = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return f"data: {json.dumps({'choices': [], 'usage': used})}\n\ndata: [DONE]\n\n".encode()


def create(client: FlaskClient, **body: Any) -> Any:
    return client.post(PATH, json={"input": "Bonjour", **body}, headers=SERVICE)


def refusal(client: FlaskClient, **body: Any) -> tuple[int, str, str]:
    answer = create(client, **body)
    return answer.status_code, answer.json["error"]["code"], answer.json["error"]["param"]


def asked(client: FlaskClient, gpt: FakeGpt, **body: Any) -> dict[str, Any]:
    assert create(client, **body).status_code == 200
    return gpt.requests[-1]


def test_a_text_gets_a_response(openai_client: openai.OpenAI, gpt: FakeGpt) -> None:
    response = openai_client.responses.create(
        model="qwen", input="Bonjour", instructions="Sois bref.", max_output_tokens=50, metadata={"a": "b"}
    )
    assert response.output_text == "ruojnoB"
    assert (response.status, response.model, response.object) == ("completed", "qwen", "response")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (3, 4, 7)
    assert (response.instructions, response.metadata) == ("Sois bref.", {"a": "b"})
    Response.model_validate(response.model_dump(by_alias=True), strict=False)
    assert response.to_dict()["store"] is False
    assert gpt.requests == [
        {
            "model": "qwen",
            "messages": [{"role": "system", "content": "Sois bref."}, {"role": "user", "content": "Bonjour"}],
            "max_completion_tokens": 50,
        }
    ]


def test_items_become_messages(client: FlaskClient, gpt: FakeGpt) -> None:
    image = "data:image/png;base64,AAAA"
    items = [
        {"role": "developer", "content": "Sois bref."},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "Vois"}, {"type": "input_image", "image_url": image, "detail": "low"},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hum."}]},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "Je regarde.", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "meteo", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": "heure", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "Il pleut."},
        {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "Midi"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "Et"}, {"type": "input_text", "text": "alors ?"}]},
    ]  # fmt: skip
    assert asked(client, gpt, input=items)["messages"] == [
        {"role": "developer", "content": "Sois bref."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Vois"},
                {"type": "image_url", "image_url": {"url": image, "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": "Je regarde.",
            "reasoning_content": "Hum.",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "meteo", "arguments": "{}"}},
                {"id": "call_2", "type": "function", "function": {"name": "heure", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "Il pleut."},
        {"role": "tool", "tool_call_id": "call_2", "content": "Midi"},
        {"role": "user", "content": "Et\nalors ?"},
    ]


def test_parameters_are_passed_on(client: FlaskClient, gpt: FakeGpt) -> None:
    schema = {"type": "object", "properties": {}}
    sent = asked(
        client,
        gpt,
        model="qwen",
        temperature=0.5,
        top_p=0.9,
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "f", "schema": schema, "strict": True}, "verbosity": "low"},
        tools=[WEATHER],
        tool_choice={"type": "function", "name": "meteo"},
        parallel_tool_calls=False,
        top_logprobs=2,
        store=True,
        service_tier="auto",
        user="moi",
        include=["reasoning.encrypted_content"],
    )
    function = {name: WEATHER[name] for name in ("name", "description", "parameters", "strict")}
    assert sent == {
        "model": "qwen",
        "messages": [{"role": "user", "content": "Bonjour"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": schema, "strict": True}},
        "verbosity": "low",
        "reasoning_effort": "low",
        "logprobs": True,
        "top_logprobs": 2,
        "user": "moi",
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "meteo"}},
        "parallel_tool_calls": False,
    }
    only = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "meteo"}]}
    sent = asked(client, gpt, tools=[WEATHER, {**WEATHER, "name": "autre"}], tool_choice=only)
    assert ([tool["function"]["name"] for tool in sent["tools"]], sent["tool_choice"]) == (["meteo"], "required")


def test_what_needs_memory_or_hosting_is_refused_by_name(client: FlaskClient, gpt: FakeGpt) -> None:
    image = {"type": "input_image", "file_id": "f"}
    for body, param in [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"tools": [WEATHER, {"type": "web_search"}]}, "tools[1].web_search"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0].mcp"),
        ({"input": [{"role": "user", "content": [image]}]}, "input[0].content[0].file_id"),
    ]:
        assert refusal(client, **body) == (400, "unsupported_parameter", param)
    assert gpt.requests == []


def test_what_is_wrong_is_named(client: FlaskClient) -> None:
    for body, param in [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 3}, "input"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"id": "x"}]}, "input[0]"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": {}, "call_id": "c"}]}, "input[0].arguments"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"tools": [WEATHER], "tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "mode": "x", "tools": []}}, "tool_choice"),
        ({"input": [{"type": "reasoning", "content": 3}]}, "input"),
        ({"input": [{"type": ["message"]}]}, "input[0].type"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"max_output_tokens": "beaucoup"}, "max_output_tokens"),
    ]:
        status, _code, named = refusal(client, **body)
        assert (status, named) == (400, param), body


def test_an_error_of_gpts_names_the_fields_of_a_response(client: FlaskClient, gpt: FakeGpt) -> None:
    error = {"message": "Le paramètre « reasoning_effort » n'est pas pris en charge.", "code": "unsupported_parameter"}
    gpt.enqueue((400, {"error": {**error, "param": "reasoning_effort", "type": "invalid_request_error"}}))
    answer = create(client, reasoning={"effort": "high"})
    assert answer.status_code == 400
    assert answer.json["error"]["param"] == "reasoning.effort"
    assert "« reasoning.effort »" in answer.json["error"]["message"]


def test_nothing_is_kept(openai_client: openai.OpenAI) -> None:
    response = openai_client.responses.create(model="qwen", input="Bonjour", store=True)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.delete(response.id)


def stream(client: FlaskClient, **body: Any) -> list[dict[str, Any]]:
    answer = create(client, stream=True, **body)
    assert answer.content_type.startswith("text/event-stream")
    events = []
    for block in answer.get_data(as_text=True).strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        if not any(tool["type"] == "frigo" for tool in body.get("tools", ())):
            EVENT.validate_python(event)
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def test_a_stream_tells_each_step(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.play(
        chunk({"role": "assistant", "content": ""})
        + chunk({"reasoning_content": "Hum."})
        + chunk({"content": "Bon"})
        + chunk({"content": "jour"})
        + chunk({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "meteo", "arguments": ""}}]})
        + chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"ville":'}}]})
        + chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Brest"}'}}]})
        + chunk({"tool_calls": [{"index": 1, "id": "call_2", "function": {"name": "heure", "arguments": "{}"}}]})
        + chunk({}, "tool_calls")
        + usage(3, 9)
    )
    events = stream(client, tools=[WEATHER])
    assert gpt.requests[-1]["stream_options"] == {"include_usage": True}
    assert [event["type"].removeprefix("response.") for event in events] == [
        *("created", "in_progress"),
        *("output_item.added", "content_part.added", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    final = events[-1]["response"]
    Response.model_validate(final)
    assert [(item["type"], item["status"]) for item in final["output"]] == [
        *(("reasoning", "completed"), ("message", "completed")),
        *(("function_call", "completed"), ("function_call", "completed")),
    ]
    assert final["output"][1]["content"][0]["text"] == "Bonjour"
    assert (final["output"][2]["call_id"], final["output"][2]["arguments"]) == ("call_1", '{"ville":"Brest"}')
    assert (final["usage"]["input_tokens"], final["usage"]["output_tokens"]) == (3, 9)
    assert events[2]["item"]["status"] == "in_progress"
    assert {event["output_index"] for event in events if "output_index" in event} == {0, 1, 2, 3}


def test_an_answer_cut_short_is_incomplete(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.play(chunk({"content": "Bon"}) + chunk({}, "length") + usage(3, 1))
    last = stream(client, max_output_tokens=1)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][0]["status"] == "incomplete"
    gpt.enqueue(("cut", "Bon"))
    whole = create(client, max_output_tokens=1).json
    assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


@pytest.mark.parametrize("end", [b"", b'event: error\ndata: {"error": {"message": "boum", "code": "x"}}\n\n'])
def test_an_answer_that_breaks_has_failed(client: FlaskClient, gpt: FakeGpt, end: bytes) -> None:
    gpt.play(chunk({"content": "Bon"}) + end)
    events = stream(client)
    assert [event["type"] for event in events][-2:] == ["response.output_item.done", "response.failed"]
    assert events[-1]["response"]["error"]["code"] == "server_error"
    assert end == b"" or events[-1]["response"]["error"]["message"] == "boum"


def test_an_answer_without_a_word_has_its_message(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.play(chunk({}, "stop") + usage(3, 0))
    assert stream(client)[-1]["response"]["output"][0]["content"][0]["text"] == ""


def test_recorded_streams_come_out_whole(openai_client: openai.OpenAI, gpt: FakeGpt, shared_data: Path) -> None:
    """The client's own reader of responses, fed with what OpenAI streamed, finds the text and the calls again."""
    for path in sorted((shared_data / "openai" / "recorded-sse").glob("*.sse")):
        recording = path.read_bytes()
        gpt.play(recording)
        with openai_client.responses.stream(model="qwen", input="Bonjour") as events:
            told = list(events)
        text = "".join(event.delta for event in told if event.type == "response.output_text.delta")
        assert told[-1].type in {"response.completed", "response.incomplete"}
        final = told[-1].response
        expected, calls = "", dict[int, tuple[str, str]]()
        for line in recording.decode().splitlines():
            for choice in json.loads(line[6:])["choices"] if line.startswith("data: {") else ():
                if choice["index"] == 0:
                    expected += choice["delta"].get("content") or ""
                    for call in choice["delta"].get("tool_calls") or ():
                        name, arguments = calls.get(call["index"], ("", ""))
                        function = call["function"]
                        calls[call["index"]] = (name or function["name"], arguments + function["arguments"])
        assert text == final.output_text == expected, path.name
        found = [(item.name, item.arguments) for item in final.output if item.type == "function_call"]
        assert found == list(calls.values()), path.name


def test_recorded_bodies_come_out_whole(client: FlaskClient, shared_data: Path) -> None:
    recorded = json.loads((shared_data / "openai" / "recorded-chat-completions.json").read_text(encoding="utf-8"))
    for one in recorded:
        with client.application.app_context():
            response = told(flask.jsonify(one["body"]), Writing(ResponseBody().echo(), "m")).json
        read = Response.model_validate(response)
        message = one["body"]["choices"][0]["message"]
        assert read.output_text == (message["content"] or ""), one["test"]
        calls = [(call["id"], call["function"]["arguments"]) for call in message.get("tool_calls") or ()]
        assert [(item.call_id, item.arguments) for item in read.output if item.type == "function_call"] == calls
        refusals = [part.refusal for item in read.output if item.type == "message" for part in item.content
                    if part.type == "refusal"]  # fmt: skip
        assert refusals == ([message["refusal"]] if message.get("refusal") else [])
        assert read.usage is not None
        assert read.usage.total_tokens == one["body"]["usage"]["total_tokens"]


def test_frigos_own_tools_run_and_are_told(client: FlaskClient, gpt: FakeGpt) -> None:
    tools = [{"type": "frigo", "name": "calculatrice"}]
    call = {"index": 0, "id": "call_1", "function": {"name": "calculatrice", "arguments": '{"expression": "6*7"}'}}
    gpt.play(
        chunk({"tool_calls": [call]}) + chunk({}, "tool_calls") + usage(3, 2),
        chunk({"content": "42"}) + chunk({}, "stop") + usage(9, 1),
    )
    events = stream(client, tools=tools)
    assert [event["run"]["state"] for event in events if event["type"] == "response.tool_run"] == ["running", "done"]
    final = events[-1]["response"]
    (run,) = final["tool_runs"]
    assert (run["name"], run["state"]) == ("calculatrice", "done")
    assert "42" in run["result"]
    assert final["output"][-1]["content"][0]["text"] == "42"
    assert final["usage"]["total_tokens"] == 15


def test_parse_gives_the_object_asked_for(openai_client: openai.OpenAI, gpt: FakeGpt) -> None:
    class Town(BaseModel):
        name: str
        people: int

    gpt.enqueue({"name": "Brest", "people": 140000})
    response = openai_client.responses.parse(model="qwen", input="Brest ?", text_format=Town)
    assert response.output_parsed == Town(name="Brest", people=140000)
    assert gpt.requests[-1]["response_format"]["json_schema"]["name"] == "Town"


def test_what_it_uses_is_counted_for_the_key(client: FlaskClient, gpt: FakeGpt) -> None:
    _id, holder = make(client, name="a", tokens_per_day=10, requests_per_minute=9)
    body = {"input": "Bonjour", "model": "frigo-mini"}
    first = client.post(PATH, json=body, headers=holder)
    assert (first.status_code, first.headers["x-ratelimit-remaining-tokens"]) == (200, "10")
    gpt.play(chunk({"content": "Bon"}) + chunk({}, "stop") + usage(3, 4))
    second = client.post(PATH, json={**body, "stream": True}, headers=holder)
    assert second.headers["x-ratelimit-remaining-tokens"] == "3"
    assert '"output_tokens":4' in second.get_data(as_text=True)
    assert client.post(PATH, json=body, headers=holder).status_code == 429
    assert client.post(PATH, json=body).status_code == 401


def test_an_alias_is_followed(make_client: Make, gpt: FakeGpt) -> None:
    client = make_client(model_aliases={"*": "default"})
    assert client.post(PATH, json={"input": "Bonjour", "model": "gpt-6-astra"}).status_code == 200
    assert gpt.requests[-1]["model"] == "default"


def test_a_tool_of_frigos_can_be_imposed(client: FlaskClient, gpt: FakeGpt) -> None:
    tool = {"type": "frigo", "name": "calculatrice"}
    sent = asked(client, gpt, tools=[tool], tool_choice=tool)
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "calculatrice"}}


def test_an_error_about_a_function_names_it_as_it_was_given(client: FlaskClient, gpt: FakeGpt) -> None:
    error = {"message": "« tools[0].function.name » est trop long.", "code": "invalid_value"}
    gpt.enqueue((400, {"error": {**error, "param": "tools[0].function.name", "type": "invalid_request_error"}}))
    answer = create(client, tools=[WEATHER])
    assert answer.json["error"]["param"] == "tools[0].name"
    assert "« tools[0].name »" in answer.json["error"]["message"]
