"""The schemas of drawings: in the order that models are shown, and usable by constrained decoding."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chat.diagrams.kinds.registry import KINDS
from tests.chat.drawings import drawing_of

LABELS = ['Été "là"', "deux", "trois", "quatre"]


def _like(value: Any, schema: dict[str, Any]) -> Any:
    """`value` with the keys of the schema, in its order."""
    if schema["type"] == "object":
        return {key: _like(value[key], inner) for key, inner in schema["properties"].items() if key in value}
    if schema["type"] == "array":
        return [_like(each, schema["items"]) for each in value]
    return value


def _example(kind: str) -> str:
    drawing = drawing_of(kind, LABELS)[0].model_dump(mode="json", by_alias=True, exclude_none=True)
    if kind == "flowchart":
        for node in drawing["nodes"]:
            node.setdefault("actor", "human")
    return json.dumps(_like(drawing, KINDS[kind].schema), ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_constrained_model_can_write_a_drawing_and_nothing_else(kind: str) -> None:
    llguidance = pytest.importorskip("llguidance")
    strict = {"whitespace_flexible": False}
    grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(KINDS[kind].schema), overrides=strict)
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar)
    written = list(_example(kind).encode())
    assert matcher.try_consume_tokens(written) == len(written), _example(kind)
    assert matcher.is_accepting()
    odd = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar)
    other = list(b'{"source":1}')
    assert odd.try_consume_tokens(other) < len(other)


def test_keys_come_in_the_order_that_the_model_is_shown() -> None:
    message = KINDS["sequence"].schema["properties"]["messages"]["items"]
    assert list(message["properties"]) == ["from", "to", "label", "kind", "block"]
    assert message["required"] == ["from", "to", "label"]
    task = KINDS["gantt"].schema["properties"]["sections"]["items"]["properties"]["tasks"]["items"]["properties"]
    assert list(task) == ["id", "label", "start", "after", "days", "kind"]
    assert task["days"] == {"type": "integer", "minimum": 0, "maximum": 3650}
    assert task["after"]["pattern"] == task["id"]["pattern"]
    relation = KINDS["er"].schema["properties"]["relations"]["items"]["properties"]
    assert list(relation) == ["from", "to", "label", "from_count", "to_count"]
