"""The body of /v1/responses, and the chat completion that it asks for.

What would change the answer and cannot be done here is refused by name; hints are accepted and left alone.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chat.openai.responses.items import messages_of
from chat.openai.responses.refused import refused_value, unsupported
from chat.openai.responses.tools import chat_tool_choice, chat_tools
from chat.openai.stored.metadata import checked
from common.errors import ApiError
from common.messages import _

_HERE_ONLY = ("conversation", "previous_response_id", "prompt", "context_management")
_LOGPROBS = "message.output_text.logprobs"


class Reasoning(BaseModel):
    """How much a model that thinks should."""

    model_config = ConfigDict(extra="allow")

    effort: str | None = None
    summary: str | None = None


class TextOptions(BaseModel):
    """The form of the text."""

    model_config = ConfigDict(extra="allow")

    format: dict[str, Any] | None = None
    verbosity: str | None = None


class ResponseBody(BaseModel):
    """POST /v1/responses."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(default=None, max_length=500, description="Identifiant ou alias du modèle")
    input: str | list[dict[str, Any]] | None = Field(default=None, description="Texte, ou messages et appels d'outils")
    instructions: str | None = None
    include: list[str] | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    store: bool | None = Field(default=None, description="Accepté ; rien n'est gardé (la réponse dit store: false)")
    stream: bool | None = None
    temperature: float | None = None
    text: TextOptions | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = Field(default=None, max_length=128)
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    top_p: float | None = None
    truncation: str | None = None
    background: bool | None = None

    def chat(self) -> dict[str, Any]:
        """The body for /v1/chat/completions. Raises ApiError 400."""
        self._refuse()
        checked(self.metadata)
        tools = chat_tools(self.tools or [])
        logprobs = bool(self.top_logprobs) or _LOGPROBS in (self.include or ())
        body: dict[str, Any] = {
            "model": self.model,
            "messages": self._messages(),
            "max_completion_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "response_format": self._form(),
            "verbosity": self.text.verbosity if self.text else None,
            "reasoning_effort": self.reasoning.effort if self.reasoning else None,
            "logprobs": logprobs or None,
            "top_logprobs": self.top_logprobs or None,
            "user": (self.model_extra or {}).get("user"),
        }
        if self.tools:
            body["tools"], body["tool_choice"] = chat_tool_choice(self.tool_choice, tools)
            body["parallel_tool_calls"] = self.parallel_tool_calls
        if self.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return {name: value for name, value in body.items() if value is not None}

    def echo(self) -> dict[str, Any]:
        """What the answer repeats of the request."""
        reasoning = self.reasoning or Reasoning()
        text = self.text or TextOptions()
        extra = self.model_extra or {}
        return {
            "background": False,
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "max_tool_calls": extra.get("max_tool_calls"),
            "metadata": self.metadata or {},
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "previous_response_id": None,
            "reasoning": {"effort": reasoning.effort, "summary": reasoning.summary},
            "safety_identifier": extra.get("safety_identifier"),
            "service_tier": "default",
            "store": False,
            "temperature": self.temperature,
            "text": {
                "format": text.format or {"type": "text"},
                **({"verbosity": text.verbosity} if text.verbosity else {}),
            },
            "tool_choice": self.tool_choice or "auto",
            "tools": [{"parameters": None, "strict": None, **tool} for tool in self.tools or ()],
            "top_logprobs": self.top_logprobs or 0,
            "top_p": self.top_p,
            "truncation": "disabled",
            "user": extra.get("user"),
        }

    def _refuse(self) -> None:
        for name in _HERE_ONLY:
            if (self.model_extra or {}).get(name) is not None:
                raise unsupported(name)
        if self.background:
            raise unsupported("background")
        if self.truncation not in (None, "disabled"):
            raise unsupported("truncation")

    def _messages(self) -> list[dict[str, Any]]:
        messages = messages_of(self.input) if self.input is not None else []
        if self.instructions:
            messages.insert(0, {"role": "system", "content": self.instructions})
        if not messages:
            raise ApiError(400, "missing_field", _("Le champ « input » est absent ou vide."), "input")
        return messages

    def _form(self) -> dict[str, Any] | None:
        form = self.text.format if self.text else None
        if form is None or form.get("type") == "text":
            return None
        if form.get("type") == "json_object":
            return {"type": "json_object"}
        if form.get("type") != "json_schema":
            raise refused_value("text.format.type")
        return {"type": "json_schema", "json_schema": {name: value for name, value in form.items() if name != "type"}}
