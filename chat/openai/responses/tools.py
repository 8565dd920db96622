"""A response's tools as those of a chat completion: functions of the client's, and Frigo's own."""

from __future__ import annotations

from typing import Any

from chat.openai.responses.refused import refused_value, unsupported

_FUNCTION = ("name", "description", "parameters", "strict")
_MODES = ("none", "auto", "required")

Tools = list[dict[str, Any]]


def chat_tools(given: Tools) -> Tools:
    """Raises ApiError 400 on a tool that OpenAI hosts (`web_search`, `file_search`…), by its name."""
    tools: Tools = []
    for at, tool in enumerate(given):
        if tool.get("type") == "function":
            function = {name: tool[name] for name in _FUNCTION if tool.get(name) is not None}
            tools.append({"type": "function", "function": function})
        elif tool.get("type") == "frigo":
            tools.append(tool)
        else:
            raise unsupported(f"tools[{at}].{tool.get('type')}")
    return tools


def chat_tool_choice(choice: str | dict[str, Any] | None, tools: Tools) -> tuple[Tools, str | dict[str, Any] | None]:
    """The tools that may be called, and which must be."""
    if choice is None or isinstance(choice, str):
        if choice is not None and choice not in _MODES:
            raise refused_value("tool_choice")
        return tools, choice
    kind = choice.get("type")
    if kind == "function":
        return tools, {"type": "function", "function": {"name": choice.get("name")}}
    if kind == "frigo":
        return tools, choice
    if kind == "allowed_tools" and isinstance(choice.get("tools"), list) and choice.get("mode") in ("auto", "required"):
        names = [tool.get("name") for tool in choice["tools"] if isinstance(tool, dict)]
        return [tool for tool in tools if _name(tool) in names], choice["mode"]
    raise refused_value("tool_choice")


def _name(tool: dict[str, Any]) -> Any:
    return tool["function"].get("name") if tool["type"] == "function" else tool.get("name")
