"""Models that think before they answer: what is thought is told apart, counted, and free of the imposed form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask_openapi import OpenAPI
from openai.types.chat import ChatCompletion

from gpt.engines.base import LanguageEngine
from gpt.engines.forwarding import ForwardingEngine
from gpt.factory import create_app
from tests.gpt.conftest import ready_registry, settings_for
from tests.gpt.families import write_family
from tests.gpt.test_chat_completions import events
from tests.gpt.test_tools import CALL, TOOLS, says

URL = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Bonjour"}]
FORM = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {
    "x": {"enum": ["oui", "non"]}}, "required": ["x"], "additionalProperties": False}}}  # fmt: skip
Served = tuple[OpenAPI, LanguageEngine]


def serve_family(family: str, engine: str, where: Path) -> Iterator[Served]:
    registry = ready_registry(settings_for(write_family(where / family, family), where, ia_engine=engine))
    with registry.use() as lease:
        assert not isinstance(lease.engine, ForwardingEngine)
        yield create_app(settings_for("auto", where), registry), lease.engine
    registry.close()


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Begins its thoughts itself."""
    yield from serve_family("qwen3", "ctranslate2", tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Its thoughts are begun by the prompt."""
    yield from serve_family("thinking", "transformers", tmp_path_factory.mktemp("thinker"))


def ask(app: OpenAPI, **fields: Any) -> Any:
    body = {"messages": HELLO, "max_tokens": 200, "temperature": 0, **fields}
    answer = app.test_client().post(URL, json=body)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize(
    ("served", "written"), [("qwen", "<think>\nhm hm\n</think>\n\nOui."), ("thinker", "hm hm\n</think>\n\nOui.")]
)
def test_thoughts_are_told_apart_and_counted(served: str, written: str, request: pytest.FixtureRequest) -> None:
    app, engine = request.getfixturevalue(served)
    whole = ask(app, **says(written, engine), n=2).json
    ChatCompletion.model_validate(whole)
    for choice in whole["choices"]:
        assert choice["message"]["reasoning_content"] == "hm hm"
        assert choice["message"]["content"] == "Oui."
        assert choice["finish_reason"] == "stop"
    assert whole["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2 * thought_tokens(engine, written)}
    text = ask(app, **says(written, engine), stream=True, stream_options={"include_usage": True}).text
    *sent, last = [json.loads(line) for line in events(text) if line != "[DONE]"]
    deltas = [chunk["choices"][0]["delta"] for chunk in sent]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "hm hm"
    assert "".join(delta.get("content", "") for delta in deltas) == "Oui."
    assert last["usage"]["completion_tokens_details"] == {"reasoning_tokens": thought_tokens(engine, written)}


def thought_tokens(engine: LanguageEngine, written: str) -> int:
    """The tokenizer's own count of the thought, its marks included."""
    head = written[: written.index("</think>")]
    return len(engine.encode_ids(engine.encode("x" + head).ids).ids) - len(engine.encode("x").ids) + 1


def test_thoughts_that_are_cut_are_no_answer(thinker: Served) -> None:
    app, engine = thinker
    choice = ask(app, **says("hm hm hm hm\n</think>\n\nOui.", engine), max_tokens=3).json["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] == ""
    assert choice["message"]["reasoning_content"]


def test_a_form_is_imposed_after_the_thought(thinker: Served) -> None:
    """The end of the thought is made likely, or a random model would think for ever."""
    app, engine = thinker
    end = engine.capabilities.dialect.single["</think>"]
    choice = ask(app, response_format=FORM, logit_bias={str(end): 100}).json["choices"][0]
    assert json.loads(choice["message"]["content"])["x"] in {"oui", "non"}
    assert choice["finish_reason"] == "stop"
    ended = ask(app, response_format=FORM, logit_bias={str(end): -100}, max_tokens=8).json["choices"][0]
    assert ended["message"]["content"] == ""  # no JSON is taken for a thought


def test_a_form_may_come_after_a_thought_or_at_once(qwen: Served) -> None:
    app, engine = qwen
    begin, end = (engine.capabilities.dialect.single[mark] for mark in ("<think>", "</think>"))
    asked = {"response_format": FORM, "reasoning_effort": "high"}
    thinks = ask(app, **asked, logit_bias={str(begin): 100, str(end): 50}).json
    answers = ask(app, **asked, logit_bias={str(begin): -100}).json
    at_once = ask(app, response_format=FORM).json  # nobody asked for thoughts: the template is told so
    for whole in (thinks, answers, at_once):
        assert json.loads(whole["choices"][0]["message"]["content"])["x"] in {"oui", "non"}
    assert thinks["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert answers["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0
    assert "completion_tokens_details" not in at_once["usage"]
    assert at_once["usage"]["prompt_tokens"] > answers["usage"]["prompt_tokens"]


def test_a_call_is_imposed_after_the_thought(thinker: Served) -> None:
    app, engine = thinker
    end = engine.capabilities.dialect.single["</think>"]
    fields = {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False, "logit_bias": {str(end): 100}}
    choice = ask(app, **fields).json["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert len(choice["message"]["tool_calls"]) == 1


def test_a_model_thinks_and_calls(qwen: Served) -> None:
    app, engine = qwen
    text = f"<think>\nla météo\n</think>\n\n<tool_call>\n{json.dumps(CALL)}\n</tool_call>"
    message = ask(app, **says(text, engine), tools=TOOLS).json["choices"][0]["message"]
    assert message["reasoning_content"] == "la météo"
    assert message["content"] is None
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["meteo"]


def test_logprobs_are_of_the_answer_alone(qwen: Served) -> None:
    app, engine = qwen
    choice = ask(app, **says("<think>\nhm\n</think>\n\nOui.", engine), logprobs=True).json["choices"][0]
    assert "".join(token["token"] for token in choice["logprobs"]["content"]).strip() == "Oui."


def test_earlier_thoughts_reach_the_template(qwen: Served) -> None:
    _app, engine = qwen
    turns: list[Any] = [*HELLO, {"role": "assistant", "content": "Oui.", "reasoning_content": "hm hm"}, *HELLO]
    assert "<think>\nhm hm\n</think>\n\nOui." in engine.decode(engine.encode_chat(turns, {}).ids)
    app = qwen[0]
    with_thought = ask(app, messages=turns, max_tokens=1).json["usage"]["prompt_tokens"]
    del turns[1]["reasoning_content"]
    assert ask(app, messages=turns, max_tokens=1).json["usage"]["prompt_tokens"] < with_thought


def test_a_thought_goes_on(qwen: Served) -> None:
    """continue_final_message in the middle of a thought: what comes first is still thought."""
    app, engine = qwen
    turns = [*HELLO, {"role": "assistant", "content": "<think>\nhm"}]
    fields = {"messages": turns, "continue_final_message": True, "add_generation_prompt": False}
    message = ask(app, **fields, **says(" bon\n</think>\n\nOui.", engine)).json["choices"][0]["message"]
    assert (message["reasoning_content"].strip(), message["content"]) == ("bon", "Oui.")
