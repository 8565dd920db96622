"""The schema that a call's arguments are written by: the tool's own, closed where it names what it takes, and bounded
for a model whose context is small, which would write one argument until nothing is left of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

SMALL_CONTEXT = 4096
"""Tokens. A model with no more than that cannot take a document as an argument, and is one that does not know when to
stop."""
SMALL_LENGTH, SMALL_ITEMS, SMALL_PROPERTIES = 200, 8, 8
SMALL_NUMBER, SMALL_STEP = 10**12, 1e-6

_OPEN = ("additionalProperties", "unevaluatedProperties", "patternProperties")
_COMPOSED = ("$ref", "allOf", "anyOf", "oneOf", "not", "if")
_SAID = (*_COMPOSED, "enum", "const", "pattern", "format")  # of a value: nothing to add to it
_NAMED = ("properties", "$defs", "definitions", "patternProperties")
_LISTED = ("anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")
_ANY = ["string", "number", "boolean", "null"]


def closed(schema: Schema) -> Schema:
    """`schema` whose objects take the properties that they name, and no other, unless they say that they do.

    JSON Schema lets anything more in; a tool has no use for it, and some models never stop inventing.
    """
    return {**_through(schema, _close)}


def bounded(schema: Schema) -> Schema:
    """`schema` whose texts, lists, objects and numbers are short, where it says nothing of their length.

    What may be anything at all may be no list and no object.
    """
    return {**_through(schema, _bound)}


def _close(schema: Schema) -> Schema:
    named = schema.get("properties")
    if not isinstance(named, dict) or any(key in schema for key in (*_OPEN, *_COMPOSED)):
        return schema
    required = schema.get("required")
    if isinstance(required, list) and any(name not in named for name in required if isinstance(name, str)):
        return schema
    return {**schema, "additionalProperties": False}


def _bound(schema: Schema) -> Schema:
    if any(key in schema for key in _SAID):
        return schema
    kinds = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else _ANY)
    given = kinds if isinstance(kinds, list) else [kinds]
    limits: Schema = {"type": kinds}
    if "string" in given:
        limits["maxLength"] = max(SMALL_LENGTH, _number(schema, "minLength"))
    if "array" in given:
        limits["maxItems"] = max(SMALL_ITEMS, _number(schema, "minItems"))
    if "object" in given and not any(schema.get(key) for key in ("properties", "patternProperties")):
        limits["maxProperties"] = max(SMALL_PROPERTIES, _number(schema, "minProperties"))
        if schema.get("additionalProperties", True) is True:
            schema = {**schema, "additionalProperties": _bound({})}
    if "integer" in given or "number" in given:
        if not any(key.endswith(("inimum", "aximum")) for key in schema):
            limits |= {"minimum": -SMALL_NUMBER, "maximum": SMALL_NUMBER}
        if "number" in given:
            limits["multipleOf"] = SMALL_STEP
    return {**limits, **schema}


def _number(schema: Schema, key: str) -> int:
    value = schema.get(key)
    return value if isinstance(value, int) else 0


def _through(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """`schema` with every schema in it changed. Those that hold together (allOf) are left as they are."""
    if not isinstance(schema, dict):
        return schema
    found = dict(schema)
    for key in _NAMED:
        if isinstance(named := found.get(key), dict):
            found[key] = {name: _through(one, change) for name, one in named.items()}
    for key in _LISTED:
        if isinstance(listed := found.get(key), list):
            found[key] = [_through(one, change) for one in listed]
    for key in _SINGLE:
        if key in found:
            found[key] = _through(found[key], change)
    return change(found)
