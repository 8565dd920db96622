"""The imposed form of an answer, in its three spellings: OpenAI's response_format, vLLM's structured_outputs, and
vLLM's older guided_*."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import Constraint, ConstraintKind
from gpt.wire.refused import refuse_deep


class JsonSchema(BaseModel):
    """``response_format.json_schema``."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, serialize_by_alias=True)

    name: str = "answer"
    schema_: dict[str, Any] = Field(alias="schema", default_factory=dict)
    strict: bool | None = None


class ResponseFormat(BaseModel):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StructuredOutputs(BaseModel):
    """vLLM's field: exactly one of the five."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, serialize_by_alias=True)

    json_: dict[str, Any] | str | None = Field(alias="json", default=None)
    json_object: bool | None = None
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None


class Constrained(BaseModel):
    """The part of a body that imposes a form."""

    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: dict[str, Any] | str | None = Field(default=None, description="Ancien nom de structured_outputs.json")
    guided_regex: str | None = Field(default=None, description="Ancien nom de structured_outputs.regex")
    guided_choice: list[str] | None = Field(default=None, description="Ancien nom de structured_outputs.choice")
    guided_grammar: str | None = Field(default=None, description="Ancien nom de structured_outputs.grammar")

    def constraint(self) -> Constraint | None:
        """The imposed form, or None. Raises 400 when two are given or one is not complete."""
        older: list[tuple[ConstraintKind, Any, str]] = [
            ("json_schema", self.guided_json, "guided_json"),
            ("regex", self.guided_regex, "guided_regex"),
            ("choice", self.guided_choice, "guided_choice"),
            ("grammar", self.guided_grammar, "guided_grammar"),
        ]
        given = [_from_response_format(self.response_format), _from_structured(self.structured_outputs)]
        found = [one for one in given if one is not None]
        found += [Constraint(kind, value, param) for kind, value, param in older if value is not None]
        if len(found) > 1:
            message = _("%(one)s et %(other)s ne vont pas ensemble.", one=found[0].param, other=found[1].param)
            raise ApiError(400, "invalid_value", message, found[1].param)
        if not found:
            return None
        refuse_deep(found[0].value, found[0].param)
        return found[0]


def _from_response_format(form: ResponseFormat | None) -> Constraint | None:
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return Constraint("json_object", None, "response_format")
    if form.json_schema is None:
        raise ApiError(
            400, "invalid_value", _("Le champ json_schema est obligatoire ici."), "response_format.json_schema"
        )
    return Constraint("json_schema", form.json_schema.schema_, "response_format")


def _from_structured(form: StructuredOutputs | None) -> Constraint | None:
    if form is None:
        return None
    given: list[tuple[ConstraintKind, Any]] = []
    if form.json_ is not None:
        given.append(("json_schema", form.json_))
    if form.json_object:
        given.append(("json_object", None))
    if form.regex is not None:
        given.append(("regex", form.regex))
    if form.choice is not None:
        given.append(("choice", form.choice))
    if form.grammar is not None:
        given.append(("grammar", form.grammar))
    if len(given) != 1:
        message = _("structured_outputs attend un seul de ces champs : json, json_object, regex, choice, grammar.")
        raise ApiError(400, "invalid_value", message, "structured_outputs")
    return Constraint(given[0][0], given[0][1], "structured_outputs")
