"""A model that was never shown a tool answers as if there were none, unless a call is imposed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask_openapi import OpenAPI

from gpt.embedded.training.tokens import TEMPLATE
from gpt.factory import create_app
from gpt.tools.styles import dialect_of
from scripts.environment import ROOT
from tests.gpt.conftest import ready_registry, settings_for

HELLO = [{"role": "user", "content": "Que sait faire Frigo ?"}]


def tool(number: int) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"jours": {"type": "integer"}}, "required": ["jours"]}
    described = {"name": f"outil_{number}", "description": "Le temps qu'il fait. " * 30, "parameters": schema}
    return {"type": "function", "function": described}


TOOLS = [tool(number) for number in range(50)]  # as a client that offers all it has: ten times what the model holds


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAPI]:
    cache = tmp_path_factory.mktemp("cache")
    registry = ready_registry(settings_for("frigo-mini", cache, ia_engine="ctranslate2"))
    yield create_app(settings_for("auto", cache), registry)
    registry.close()


def ask(app: OpenAPI, **fields: Any) -> Any:
    body = {"messages": HELLO, "max_tokens": 60, "temperature": 0, **fields}
    answer = app.test_client().post("/v1/chat/completions", json=body)
    return answer.status_code, answer.json


def test_tools_that_it_may_call_change_nothing(mini: OpenAPI) -> None:
    status, without = ask(mini)
    assert status == 200
    for offered in ({"tools": TOOLS}, {"tools": TOOLS, "tool_choice": "auto"}, {"functions": [TOOLS[0]["function"]]}):
        status, told = ask(mini, **offered)
        assert status == 200, told
        assert told["choices"] == without["choices"]
        assert told["usage"] == without["usage"]


def test_nor_do_they_change_a_form(mini: OpenAPI) -> None:
    strict = {"type": "function", "function": {**TOOLS[0]["function"], "strict": True}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"enum": ["oui", "non"]}}}
    _status, without = ask(mini, response_format=form)
    status, told = ask(mini, response_format=form, tools=[strict])
    assert (status, told["choices"]) == (200, without["choices"])


def test_it_is_told_of_the_tool_that_it_must_call(mini: OpenAPI) -> None:
    _status, without = ask(mini)
    status, told = ask(mini, tools=TOOLS[:1], tool_choice="required", parallel_tool_calls=False)
    assert status == 200, told
    (call,) = told["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "outil_0"
    assert told["usage"]["prompt_tokens"] > without["usage"]["prompt_tokens"] + 100
    status, told = ask(mini, tools=TOOLS, tool_choice="required")
    assert (status, told["error"]["code"]) == (400, "context_length_exceeded")


def test_its_template_says_so() -> None:
    shipped = (ROOT / "gpt/embedded/frigo-mini/chat_template.jinja").read_text(encoding="utf-8")
    assert shipped == TEMPLATE
    assert dialect_of(TEMPLATE, {}).unaware
    assert not dialect_of("{% for m in messages %}{{ m.content }}{% endfor %}", {}).unaware
    assert not dialect_of(None, {}).unaware
