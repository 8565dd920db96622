"""What a tool that the server runs is: a name, what it takes, what it tells the model."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from common.messages import Text, _
from common.web import context
from common.web.validation import to_api_error

SECONDS = 20.0
"""The longest that a tool may take."""


class ToolError(Exception):
    """A tool cannot do what it was asked; the sentence is for the model."""

    def __init__(self, message: Text) -> None:
        super().__init__(str(message))
        self.message = message


class Arguments(BaseModel):
    """What a tool takes. Fields that it does not have are refused, so that the model learns their names."""

    model_config = ConfigDict(extra="forbid")


A = TypeVar("A", bound=Arguments)


@dataclass
class Call:
    """One run of a tool: how long it may take, how much it may say (characters), and how to end it from outside."""

    room: int = 8000
    seconds: float = SECONDS
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._on_cancel: list[Callable[[], None]] = []
        self._cancelled = False

    @property
    def left(self) -> float:
        """Seconds, at least a hundredth."""
        return max(0.01, self.began + self.seconds - time.monotonic())

    def on_cancel(self, end: Callable[[], None]) -> None:
        """Have `end` called when nobody waits for the result any more: now, if that is so."""
        with self._lock:
            self._on_cancel.append(end)
            if not self._cancelled:
                return
        end()

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            ends = list(self._on_cancel)
        for end in ends:
            end()


@dataclass(frozen=True)
class Tool(Generic[A]):
    """`external`: what it tells was written by others, who may want the model to obey them."""

    name: str
    title: Text
    description: Text
    arguments: type[A]
    run: Callable[[A, Call], str]
    external: bool = False
    missing: Text | None = None
    """Why it cannot be used here; None when it can."""

    def function(self) -> dict[str, Any]:
        """The tool as OpenAI's `tools` declare a function."""
        schema = _plain(self.arguments.model_json_schema())
        schema["additionalProperties"] = False
        description = self.description.render(context.language.get())
        return {
            "type": "function",
            "function": {"name": self.name, "description": description, "parameters": schema},
        }

    def public(self) -> dict[str, Any]:
        """The tool as GET /api/tools lists it."""
        language = context.language.get()
        shown: dict[str, Any] = {
            "name": self.name,
            "title": self.title.render(language),
            "description": self.description.render(language),
            "available": self.missing is None,
        }
        if self.missing is not None:
            shown["reason"] = self.missing.render(language)
        return shown

    def __call__(self, arguments: str, call: Call) -> str:
        """Run with `arguments` as the model wrote them. Raises `ToolError`."""
        try:
            given = json.loads(arguments or "{}")
        except (ValueError, RecursionError) as error:
            raise ToolError(_("Les arguments ne sont pas un objet JSON.")) from error
        if not isinstance(given, dict):
            raise ToolError(_("Les arguments ne sont pas un objet JSON."))
        try:
            checked = self.arguments.model_validate(given)
        except ValidationError as error:
            message = to_api_error(error).message
            raise ToolError(message if isinstance(message, Text) else _("%(said)s", said=message)) from error
        return self.run(checked, call)


def _plain(schema: Any) -> Any:
    """Without pydantic's titles and defaults of None, which only take room in the prompt."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    branches = schema.get("anyOf")
    if isinstance(branches, list) and {"type": "null"} in branches:
        rest = [one for one in branches if one != {"type": "null"}]
        if len(rest) == 1:
            schema = {**{key: value for key, value in schema.items() if key != "anyOf"}, **rest[0]}
    return {
        key: _plain(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
