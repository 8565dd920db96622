"""What /api/conversations reads and writes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from chat.conversations import bounds
from chat.conversations.keeping import is_lost
from chat.conversations.models import Conversation, ConversationMessage
from chat.conversations.store import Summary, Whole
from common.database import utc_now
from common.errors import ApiError
from common.messages import _

Role = Literal["system", "user", "assistant"]
FIRST_YEAR = 1970
OURS = {"messages", "stream", "stream_options", "store", "n", "previous_response_id"}
"""Fields of /v1/chat/completions that a conversation settles by itself."""


def _without_nul(text: str) -> str:
    return text.replace("\x00", "")  # which PostgreSQL's texts cannot hold


def _past(moment: datetime) -> datetime:
    if moment.year < FIRST_YEAR:
        raise ValueError("cette date est trop ancienne")
    if moment > utc_now():
        raise ValueError("cette date est à venir")
    return moment


def _small(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(json.dumps(value)) > bounds.MAX_DIAGRAM:
        raise ValueError("ce dessin est trop grand")
    return value


Clean = AfterValidator(_without_nul)
Id = Annotated[str, StringConstraints(min_length=1, max_length=32), Clean]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=bounds.MAX_TITLE), Clean]
ModelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), Clean]
Content = Annotated[str, StringConstraints(max_length=bounds.MAX_CONTENT), Clean]
Question = Annotated[str, StringConstraints(max_length=bounds.MAX_CONTENT, pattern=r"\S"), Clean]


class ConversationPath(BaseModel):
    id: Annotated[str, Clean] = Field(description="Identifiant de la discussion", max_length=100)


class MessagePath(ConversationPath):
    message_id: Annotated[str, Clean] = Field(description="Identifiant du message", max_length=100)


class ExportPath(ConversationPath):
    ext: Literal["md", "json"]


class ListQuery(BaseModel):
    q: Annotated[str, Clean] = Field(
        default="", max_length=200, description="Mots cherchés, accents et majuscules indifférents"
    )
    limit: int = Field(default=50, ge=1, le=200)
    after: Annotated[str, Clean] | None = Field(
        default=None, max_length=100, description="Identifiant de la dernière discussion reçue"
    )


class GivenMessage(BaseModel):
    """A message that was said elsewhere, or made by another route."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    content: Content
    model: ModelName | None = Field(default=None, description="Le modèle qui a répondu")
    tool: Literal["draw"] | None = Field(default=None, description="draw : un dessin, demandé ou fait")
    diagram: Annotated[dict[str, JsonValue], AfterValidator(_small)] | None = None

    def columns(self) -> dict[str, Any]:
        return self.model_dump()


class MessageBody(GivenMessage):
    parent_id: Id | None = Field(default=None, description="Le message qui précède ; absent : le dernier lu")

    def columns(self) -> dict[str, Any]:
        values = self.model_dump()
        if "parent_id" not in self.model_fields_set:
            del values["parent_id"]
        return values


class ConversationBody(BaseModel):
    """A conversation to begin."""

    model_config = ConfigDict(extra="forbid")

    title: Title | None = Field(default=None, description="Absent : les premiers mots de la première question")
    model: ModelName | None = None
    messages: list[GivenMessage] = Field(default_factory=list, max_length=bounds.MAX_MESSAGES)
    created_at: Annotated[AwareDatetime, AfterValidator(_past)] | None = None


class ConversationChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title = Field(default="", validate_default=False)
    model: ModelName | None = None
    current: Id = Field(default="", validate_default=False, description="Un message : sa branche est lue dès lors")


class TurnBody(BaseModel):
    """A question; the other fields are those of /v1/chat/completions."""

    model_config = ConfigDict(extra="allow")

    content: Question | None = Field(default=None, description="Absent : une autre réponse à la question d'avant")
    parent_id: Id | None = Field(
        default=None, description="Le message qui précède la question ; sans content : la question elle-même"
    )
    model: ModelName | None = Field(default=None, description="Absent : le modèle d'avant")
    tools: list[dict[str, JsonValue]] | None = Field(
        default=None, max_length=128, description='Outils du serveur : {"type": "frigo", "name": "calculatrice"}'
    )

    @model_validator(mode="after")
    def _is_of_a_conversation(self) -> Self:
        for name in (self.model_extra or {}).keys() & OURS:
            message = _("« %(field)s » ne se règle pas ici : la discussion s'en charge.", field=name)
            raise ApiError(400, "unsupported_parameter", message, name)
        if any(tool.get("type") != "frigo" for tool in self.tools or []):
            message = _("Une discussion n'a que les outils du serveur : « type » doit être « frigo ».")
            raise ApiError(400, "unsupported_value", message, "tools")
        return self

    def place(self) -> dict[str, str | None]:
        return {"parent_id": self.parent_id} if "parent_id" in self.model_fields_set else {}

    def options(self) -> dict[str, Any]:
        given = dict(self.model_extra or {})
        return {**given, "tools": self.tools} if self.tools else given


def listed(summary: Summary) -> dict[str, Any]:
    shown = {**_conversation(summary.row), "messages": summary.messages}
    return shown if summary.excerpt is None else {**shown, "excerpt": summary.excerpt}


def whole(found: Whole) -> dict[str, Any]:
    return {
        **_conversation(found.row),
        "current": found.row.current_id,
        "messages": [message(row) for row in found.messages],
    }


def begun(found: Whole, question: ConversationMessage) -> dict[str, Any]:
    """The first event of an answer: the conversation, the question, and the answer that begins."""
    return {
        "object": "conversation.message",
        "conversation": {**_conversation(found.row), "messages": len(found.messages)},
        "question": message(question),
        "answer": message(found.messages[-1]),
    }


def message(row: ConversationMessage) -> dict[str, Any]:
    state = "unfinished" if row.state == "writing" and is_lost(row.touched_at) else row.state
    optional = {
        "asked_model": row.asked_model,
        "reasoning_content": row.reasoning,
        "tool": row.tool,
        "diagram": row.diagram,
        "tool_runs": row.tool_runs,
        "usage": row.usage,
        "finish_reason": row.finish_reason,
        "left_out": row.left_out or None,
        "error": row.error,
    }
    return {
        "id": row.id,
        "parent_id": row.parent_id,
        "role": row.role,
        "content": row.content,
        "model": row.model,
        "state": state,
        "created_at": row.created_at.isoformat(),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _conversation(row: Conversation) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "model": row.model,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
