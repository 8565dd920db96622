"""The tools of a request: which may be called, whether one must be, and older spellings of the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, Field

from common.errors import ApiError
from common.messages import Text, _
from gpt.wire.refused import refuse_deep

MAX_TOOLS = 128
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class ToolUse:
    """What the tools of a request come to. `tools` are those that may be called, in OpenAI's form; none when nothing is
    to be called. `legacy`: asked for with `functions`, and answered so."""

    tools: list[dict[str, Any]] = field(default_factory=list)
    required: bool = False
    single: bool = False
    legacy: bool = False
    param: str = "tools"

    @property
    def names(self) -> frozenset[str]:
        """What may be called."""
        return frozenset(tool["function"]["name"] for tool in self.tools)

    @property
    def strict(self) -> bool:
        """True when the arguments of some tool must follow its schema."""
        return any(tool["function"].get("strict") is True for tool in self.tools)


class Tooled(BaseModel):
    """The part of a body that is about tools."""

    tools: list[dict[str, Any]] | None = Field(default=None, max_length=MAX_TOOLS, description="Fonctions du client")
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = Field(
        default=None, description="none, auto, required, ou une fonction nommée"
    )
    parallel_tool_calls: bool | None = Field(default=None, description="false : un seul appel par réponse")
    functions: list[dict[str, Any]] | None = Field(
        default=None, max_length=MAX_TOOLS, description="Ancien nom de tools"
    )
    function_call: Literal["none", "auto"] | dict[str, Any] | None = Field(
        default=None, description="Ancien nom de tool_choice"
    )

    def tool_use(self) -> ToolUse:
        """What may and must be called. Raises 400 that names the field which is wrong."""
        tools = [_checked(tool, f"tools[{at}]") for at, tool in enumerate(self.tools or ())]
        functions = [_function(one, f"functions[{at}]") for at, one in enumerate(self.functions or ())]
        _once([tool["function"]["name"] for tool in tools], "tools[%d].function.name")
        _once([tool["function"]["name"] for tool in functions], "functions[%d].name")
        legacy = bool(functions) and not tools
        use = self._older(functions) if legacy else self._newer(tools)
        if tools and functions and use.tools and self.function_call != "none":
            raise _wrong("functions", _("tools et functions ne vont pas ensemble."))
        return use

    def _newer(self, tools: list[dict[str, Any]]) -> ToolUse:
        choice = self.tool_choice
        single = self.parallel_tool_calls is False
        if choice == "none":
            return ToolUse()
        if choice is None or choice == "auto":
            return ToolUse(tools, single=single)
        if not tools:
            raise _wrong("tool_choice", _("Il faut des outils (tools) pour en imposer un."))
        if choice == "required":
            return ToolUse(tools, required=True, single=single)
        match choice:
            case {"type": "function", "function": {"name": str(name)}}:
                return ToolUse([_named(tools, name, "tool_choice.function.name")], required=True, single=True)
            case {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto" | "required" as mode, "tools": list(listed)},
            }:
                param = "tool_choice.allowed_tools.tools"
                names = [(one.get("function") or {}).get("name") for one in listed if isinstance(one, dict)]
                kept = [_named(tools, str(name), param) for name in names]
                if not kept:
                    raise _wrong(param, _("Cette liste est vide."))
                return ToolUse(kept, required=mode == "required", single=single)
        raise _wrong("tool_choice", _("Valeurs comprises : none, auto, required, une fonction, allowed_tools."))

    def _older(self, functions: list[dict[str, Any]]) -> ToolUse:
        choice = self.function_call
        if choice == "none" or self.tool_choice == "none":
            return ToolUse()
        if choice is None or choice == "auto":
            return ToolUse(functions, single=True, legacy=True, param="functions")
        if not isinstance(choice.get("name"), str):
            raise _wrong("function_call.name", _("Un nom de fonction est attendu."))
        named = _named(functions, choice["name"], "function_call.name")
        return ToolUse([named], required=True, single=True, legacy=True, param="functions")


def _checked(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        kind = tool.get("type")
        reason = _("Seuls les outils de type « function » sont pris en charge, pas « %(kind)s ».", kind=str(kind)[:40])
        raise _wrong(f"{where}.type", reason)
    return _function(tool.get("function"), f"{where}.function")


def _function(given: Any, where: str) -> dict[str, Any]:
    """A function in OpenAI's newer form."""
    if not isinstance(given, dict):
        raise _wrong(where, _("Un objet est attendu : name, description, parameters."))
    name, described, parameters = given.get("name"), given.get("description"), given.get("parameters")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        reason = _("Un nom d'outil compte 1 à 64 lettres non accentuées, chiffres, tirets ou soulignés.")
        raise _wrong(f"{where}.name", reason)
    if described is not None and not isinstance(described, str):
        raise _wrong(f"{where}.description", _("Un texte est attendu."))
    if parameters is not None and not isinstance(parameters, dict):
        raise _wrong(f"{where}.parameters", _("Un schéma JSON (un objet) est attendu."))
    if parameters and parameters.get("type", "object") != "object":
        raise _wrong(f"{where}.parameters", _("Les arguments d'un outil sont un objet : type doit valoir object."))
    strict = given.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise _wrong(f"{where}.strict", _("true ou false est attendu."))
    refuse_deep(given, where)
    return {"type": "function", "function": {key: value for key, value in given.items() if value is not None}}


def _once(names: Sequence[str], param: str) -> None:
    for at, name in enumerate(names):
        if name in names[:at]:
            raise _wrong(param % at, _("Deux outils s'appellent « %(name)s ».", name=name))


def _named(tools: Sequence[dict[str, Any]], name: str, param: str) -> dict[str, Any]:
    for tool in tools:
        if tool["function"]["name"] == name:
            return tool
    raise _wrong(param, _("Aucun outil ne s'appelle « %(name)s ».", name=name[:64]))


def _wrong(param: str, reason: Text) -> ApiError:
    return ApiError(
        400, "invalid_value", _("Champ « %(field)s » refusé : %(reason)s", field=param, reason=reason), param
    )
