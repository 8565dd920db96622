"""Arguments that are imposed end: on what a tool names, and soon for a model that does not know when to stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpt.engines.base import Constraint
from gpt.engines.constraint import Constrainer
from gpt.factory import create_app
from gpt.tools.arguments import bounded, closed
from gpt.tools.impose import calls_grammar
from gpt.tools.styles import PLAIN
from scripts.environment import ROOT
from tests.gpt.conftest import ready_registry, settings_for

TEXT = {"type": "string"}


@pytest.fixture(scope="module")
def constrainer() -> Constrainer:
    """Of the embedded model's tokens."""
    folder = ROOT / "gpt" / "embedded" / "frigo-mini"
    return Constrainer((folder / "tokenizer.json").read_text(encoding="utf-8"), [0])


def holds(constrainer: Constrainer, parameters: dict[str, Any], written: str, context: int) -> bool:
    """Whether a call with these arguments may be written."""
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    rules = calls_grammar([tool], PLAIN, single=True, context=context)
    mask = constrainer.start(Constraint("grammar", f"start: calls\n{rules}", "tools"))
    text = f'<tool_call>\n{{"name": "f", "arguments": {written}}}\n</tool_call>'
    ids = constrainer._tokenizer.tokenize_str(text)
    return bool(mask._matcher.try_consume_tokens(ids) == len(ids))


@pytest.mark.parametrize(
    ("parameters", "written", "small", "large"),
    [
        ({"properties": {"a": TEXT}}, '{"a": "x"}', True, True),
        ({"properties": {"a": TEXT}}, '{"a": "x", "b": 1}', False, False),
        ({"properties": {"a": TEXT}, "additionalProperties": True}, '{"a": "x", "b": 1}', True, True),
        ({"properties": {"a": TEXT}}, json.dumps({"a": "x" * 201}), False, True),
        ({"properties": {"a": {**TEXT, "maxLength": 500}}}, json.dumps({"a": "x" * 201}), True, True),
        ({"properties": {"a": {**TEXT, "minLength": 300}}}, json.dumps({"a": "x" * 300}), True, True),
        ({"properties": {"a": {**TEXT, "enum": ["x" * 300]}}}, json.dumps({"a": "x" * 300}), True, True),
        ({"properties": {"a": {"type": "array", "items": TEXT}}}, json.dumps({"a": ["x"] * 9}), False, True),
        ({"properties": {"a": {"type": "number"}}}, '{"a": 48.856614}', True, True),
        ({"properties": {"a": {"type": "number"}}}, '{"a": 2.2222222222}', False, True),
        ({"properties": {"a": {"type": "integer"}}}, '{"a": 22222222222222222}', False, True),
        ({"properties": {"a": {}}}, '{"a": true}', True, True),
        ({"properties": {"a": {}}}, '{"a": [1]}', False, True),
        ({"properties": {"properties": {"properties": {"a": TEXT}}}}, '{"properties": {"a": "x"}}', True, True),
        ({"properties": {"properties": {"properties": {"a": TEXT}}}}, '{"properties": {"b": "x"}}', False, False),
        ({"properties": {"a": {"type": "object"}}}, '{"a": {"b": 1}}', True, True),
        ({"properties": {"a": {"type": "object", "additionalProperties": TEXT}}}, '{"a": {"b": 1}}', False, False),
        ({"additionalProperties": True}, '{"b": [1]}', False, True),
        ({}, "{}", True, True),
    ],
)
def test_what_may_be_written(
    parameters: dict[str, Any], written: str, small: bool, large: bool, constrainer: Constrainer
) -> None:
    given = {"type": "object", **parameters} if parameters else {}
    assert holds(constrainer, given, written, 2048) is small
    assert holds(constrainer, given, written, 8192) is large


def test_what_is_composed_is_left_as_it_is() -> None:
    together = {"allOf": [{"properties": {"a": TEXT}}, {"properties": {"b": TEXT}}]}
    assert closed(together) == bounded(together) == together
    elsewhere = {"properties": {"a": TEXT}, "required": ["b"]}
    assert closed(elsewhere) == elsewhere
    assert closed({"properties": {"a": TEXT}, "oneOf": [{"required": ["a"]}]}).keys() == {"properties", "oneOf"}


def test_the_embedded_model_ends_a_call_that_it_must_make(tmp_path: Path) -> None:
    """It has never seen a tool, and does not know what to say: without bounds it fills its context."""
    settings = settings_for("frigo-mini", tmp_path)
    registry = ready_registry(settings)
    parameters = {"type": "object", "properties": {"ville": TEXT, "jours": {}}, "required": ["ville", "jours"]}
    tool = {"type": "function", "function": {"name": "meteo", "parameters": parameters}}
    asked = {"messages": [{"role": "user", "content": "Quel temps fait-il ?"}], "tools": [tool], "temperature": 0}
    try:
        client = create_app(settings, registry).test_client()
        answer = client.post("/v1/chat/completions", json={**asked, "tool_choice": "required"}).json
    finally:
        registry.close()
    assert answer is not None
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert set(json.loads(call["function"]["arguments"])) == {"ville", "jours"}
