"""Tools, their calls and their results in a conversation, as a model's template takes them or in plain text."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gpt.engines.base import Message, text_of
from gpt.tools.styles import Dialect

_MISTRAL_ID = re.compile(r"[A-Za-z0-9]{9}")
_SYSTEM = """# Tools

You may call one or more of these functions to help the user. Their signatures are within <tools></tools>:
<tools>
%s
</tools>

To call a function, write a JSON object with its name and its arguments within <tool_call></tool_call>, for each call:
<tool_call>
{"name": "the function's name", "arguments": {"the argument's name": "its value"}}
</tool_call>
The results then come within <tool_response></tool_response>."""


def about_tools(messages: Sequence[Message]) -> bool:
    """True when a turn calls a tool or gives a result."""
    return any(message["role"] == "tool" or message.get("tool_calls") for message in messages)


def plainly(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None) -> list[Message]:
    """A conversation without anything but system, user and assistant turns: what Hermes' template would write."""
    turns: list[Message] = []
    answered = False  # the turn before gave a result too
    for message in messages:
        if message["role"] == "tool":
            result = f"<tool_response>\n{text_of(message)}\n</tool_response>"
            if answered:
                turns[-1] = {"role": "user", "content": f"{turns[-1]['content']}\n{result}"}
            else:
                turns.append({"role": "user", "content": result})
            answered = True
            continue
        answered = False
        calls = [_plain_call(call) for call in message.get("tool_calls") or ()]
        if calls:
            said = [text_of(message)] if text_of(message) else []
            turns.append({"role": message["role"], "content": "\n".join([*said, *calls])})
        else:
            turns.append({"role": message["role"], "content": message["content"]})
    if tools:
        told = _SYSTEM % "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
        if turns and turns[0]["role"] == "system":
            turns[0] = {"role": "system", "content": f"{text_of(turns[0])}\n\n{told}"}
        else:
            turns.insert(0, {"role": "system", "content": told})
    return turns


def _plain_call(call: Mapping[str, Any]) -> str:
    given = {"name": call["function"]["name"], "arguments": call["function"]["arguments"]}
    return f"<tool_call>\n{json.dumps(given, ensure_ascii=False)}\n</tool_call>"


def for_template(messages: Sequence[Message], dialect: Dialect) -> list[Message]:
    """The conversation for a template that knows tools, freed of what the family's refuses: Llama's takes one call in
    a turn, Mistral's takes identifiers of nine letters and digits."""
    if dialect.style == "llama":
        return _one_by_one(messages)
    if dialect.style in {"mistral", "args"}:
        return [_short_ids(message) for message in messages]
    return list(messages)


def _one_by_one(messages: Sequence[Message]) -> list[Message]:
    """Each call in a turn of its own, with its result after it; nothing is lost, nor told twice."""
    turns: list[Message] = []
    moved: set[int] = set()
    for at, message in enumerate(messages):
        if at in moved:
            continue
        calls = message.get("tool_calls") or []
        if len(calls) < 2:
            turns.append(message)
            continue
        results = list(itertools.takewhile(lambda i: messages[i]["role"] == "tool", range(at + 1, len(messages))))
        for number, call in enumerate(calls):
            turn = message.copy()
            turn["tool_calls"] = [call]
            if number:
                turn["content"] = ""
            turns.append(turn)
            found = next((i for i in results if i not in moved and messages[i].get("tool_call_id") == call["id"]), None)
            if found is not None:
                turns.append(messages[found])
                moved.add(found)
    return turns


def _short_ids(message: Message) -> Message:
    turn = message.copy()
    if calls := message.get("tool_calls"):
        turn["tool_calls"] = [{**call, "id": _short_id(call["id"])} for call in calls]
    if (told := message.get("tool_call_id")) is not None:
        turn["tool_call_id"] = _short_id(told)
    return turn


def _short_id(given: str) -> str:
    return given if _MISTRAL_ID.fullmatch(given) else hashlib.sha256(given.encode()).hexdigest()[:9]


def cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """`value` with `clean` done to every text in it, however deep."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [cleaned(item, clean) for item in value]
    if isinstance(value, dict):
        return {cleaned(key, clean): cleaned(item, clean) for key, item in value.items()}
    return value


def texts_of(value: Any) -> int:
    """How many characters of text there are in `value`, however deep."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(texts_of, value))
    if isinstance(value, dict):
        return sum(len(str(key)) + texts_of(item) for key, item in value.items())
    return 0
