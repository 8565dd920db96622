"""What a request to /v1/chat/completions asks of the server's tools, and the same request as gpt can read it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from chat.tools.tool import Tool
from chat.tools.toolbox import Asked, Told, Toolbox, cut
from common.errors import ApiError
from common.messages import _
from common.web import strict_json

KIND = "frigo"
OLD_RESULT_CHARS = 2000
"""Of a result that an earlier answer was given."""


@dataclass(frozen=True)
class ToolRequest:
    """`body`: for gpt, the server's tools as functions beside the client's."""

    body: dict[str, Any]
    server: frozenset[str]
    client: frozenset[str]


def read(data: bytes, toolbox: Toolbox) -> tuple[bytes, ToolRequest | None]:
    """The body to send, and what it asks of the server's tools; None when it asks nothing.

    A request that speaks of none of this is not even read. Raises `ApiError` 400 on tools that cannot be had.
    """
    if b'"frigo"' not in data and b'"tool_runs"' not in data:
        return data, None
    try:
        body = strict_json.loads(data)
    except ValueError:
        return data, None  # gpt says what is wrong
    if not isinstance(body, dict):
        return data, None
    tools = body.get("tools")
    wanted = isinstance(tools, list) and any(_is_ours(tool) for tool in tools)
    if not wanted:
        return (json.dumps(body).encode() if _strip(body) else data), None
    _expand(body, toolbox)
    return data, _request(body, toolbox)


def _is_ours(tool: object) -> bool:
    return isinstance(tool, dict) and tool.get("type") == KIND


def _request(body: dict[str, Any], toolbox: Toolbox) -> ToolRequest:
    server: list[str] = []
    tools: list[Any] = []
    client = {str(_function(tool).get("name")) for tool in body["tools"] if not _is_ours(tool)}
    for place, tool in enumerate(body["tools"]):
        if not _is_ours(tool):
            tools.append(tool)
            continue
        ours = _checked(tool.get("name"), f"tools[{place}].name", toolbox, client)
        if ours.name not in server:
            server.append(ours.name)
            tools.append(ours.function())
    if body.get("n") not in (None, 1):
        message = _("Avec des outils du serveur, une seule réponse à la fois : « n » vaut 1.")
        raise ApiError(400, "unsupported_parameter", message, "n")
    body["tools"] = tools
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        body["tool_choice"] = _as_function(choice)
        if isinstance(allowed := choice.get("allowed_tools"), dict) and isinstance(allowed.get("tools"), list):
            body["tool_choice"] = {
                **choice,
                "allowed_tools": {**allowed, "tools": [*map(_as_function, allowed["tools"])]},
            }
    return ToolRequest(body, frozenset(server), frozenset(client))


def _as_function(choice: Any) -> Any:
    return {"type": "function", "function": {"name": choice.get("name")}} if _is_ours(choice) else choice


def _checked(name: object, param: str, toolbox: Toolbox, client: set[str]) -> Tool[Any]:
    tool = toolbox.get(name) if isinstance(name, str) else None
    if tool is None:
        message = _("Outil inconnu : « %(tool)s ». Outils : %(known)s.", tool=str(name)[:100], known=toolbox.names)
        raise ApiError(400, "invalid_value", message, param)
    if tool.missing is not None:
        raise ApiError(400, "tool_unavailable", tool.missing, param)
    if tool.name in client:
        message = _("« %(tool)s » est aussi le nom d'une fonction de la demande.", tool=tool.name)
        raise ApiError(400, "invalid_value", message, param)
    return tool


def _function(tool: object) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function if isinstance(function, dict) else {}


def _messages(body: dict[str, Any]) -> list[Any]:
    messages = body.get("messages")
    return messages if isinstance(messages, list) else []


def _strip(body: dict[str, Any]) -> bool:
    """Take `tool_runs` out of the messages; whether there was any."""
    found = False
    for message in _messages(body):
        if isinstance(message, dict) and "tool_runs" in message:
            del message["tool_runs"]
            found = True
    return found


def _expand(body: dict[str, Any], toolbox: Toolbox) -> None:
    """Earlier answers' `tool_runs` as the calls and results that they were, so that the model knows them still."""
    messages: list[Any] = []
    for message in _messages(body):
        runs = message.pop("tool_runs", None) if isinstance(message, dict) else None
        if isinstance(runs, list) and message.get("role") == "assistant":
            known = [run for run in runs if isinstance(run, dict) and isinstance(run.get("name"), str)]
            for _round, of_round in groupby(known, key=lambda run: run.get("round")):
                messages += spoken(None, [_told(run, toolbox) for run in of_round])
        messages.append(message)
    if isinstance(body.get("messages"), list):  # else gpt says what is wrong with it
        body["messages"] = messages


def _told(run: dict[str, Any], toolbox: Toolbox) -> Told:
    tool = toolbox.get(run["name"])
    asked = Asked(str(run.get("id") or "call"), run["name"], str(run.get("arguments") or "{}"))
    result = cut(str(run.get("result") or ""), OLD_RESULT_CHARS)
    return Told(asked, run.get("state") == "done", result, tool is None or tool.external)


def spoken(text: str | None, told: Iterable[Told], thought: str = "") -> list[dict[str, Any]]:
    """A round as messages: what the model thought, said and called, then each result."""
    told = list(told)
    calls = [
        {"id": one.asked.id, "type": "function", "function": {"name": one.asked.name, "arguments": _written(one)}}
        for one in told
    ]
    results = [{"role": "tool", "tool_call_id": one.asked.id, "content": one.for_model} for one in told]
    said: dict[str, Any] = {"role": "assistant", "content": text or None, "tool_calls": calls}
    return [{**said, "reasoning_content": thought} if thought else said, *results]


def _written(told: Told) -> str:
    """Arguments that are an object, which templates insist on, even where the model wrote something else."""
    try:
        given = json.loads(told.asked.arguments or "{}")
    except (ValueError, RecursionError):
        given = None
    return told.asked.arguments or "{}" if isinstance(given, dict) else json.dumps({"?": told.asked.arguments})
