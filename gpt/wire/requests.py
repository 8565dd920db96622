"""Bodies of /v1/chat/completions and /v1/completions. Every field that would change the answer is here, honoured or
refused by name; anything else a client sends (user, metadata, store…) is a hint, accepted and left alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import Constraint, ConstraintKind, Message

MAX_TOKENS = 1_000_000
MAX_CHOICES = 8
MAX_PROMPTS = 64
MAX_STOPS = 16
MAX_MESSAGES = 10_000

# Fields whose value changes the answer in a way no engine here honours, with the values that change nothing.
_REFUSED: dict[str, tuple[object, ...]] = {
    "audio": (),
    "bad_words": ([],),
    "best_of": (1,),
    "continue_final_message": (False,),
    "chat_template": ("",),
    "echo": (False,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "guided_choice": (),
    "guided_grammar": (),
    "guided_json": (),
    "guided_regex": (),
    "ignore_eos": (False,),
    "length_penalty": (1,),
    "min_p": (0,),
    "min_tokens": (0,),
    "modalities": (["text"],),
    "reasoning_effort": ("none",),
    "repetition_penalty": (1,),
    "stop_token_ids": ([],),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "use_beam_search": (False,),
    "verbosity": ("medium",),
    "web_search_options": (),
}


class StreamOptions(BaseModel):
    """What else to stream."""

    include_usage: bool = False


class Part(BaseModel):
    """A piece of a message; only text is understood."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: str | None = None


class ChatMessage(BaseModel):
    """One turn of the conversation."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None


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
    """vLLM's field: exactly one of the four."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, serialize_by_alias=True)

    json_: dict[str, Any] | str | None = Field(alias="json", default=None)
    json_object: bool | None = None
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None


class Sampling(BaseModel):
    """What both endpoints share."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(
        default=None, max_length=500, description="Clé ou alias ; absent ou default : celui qui est prêt"
    )
    max_tokens: int | None = Field(default=None, ge=0, le=MAX_TOKENS)
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(default=None, ge=-1, description="Extension de vLLM ; 0 ou -1 : tous les tokens")
    n: int | None = Field(default=None, ge=1, le=MAX_CHOICES)
    stop: str | list[str] | None = None
    seed: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None

    def stops(self) -> tuple[str, ...]:
        """Stop strings, always as a tuple. Raises 400 when there are too many."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(given) > MAX_STOPS:
            message = _("Au plus %(limit)s chaînes d'arrêt sont acceptées.", limit=MAX_STOPS)
            raise ApiError(400, "invalid_value", message, "stop")
        return tuple(stop for stop in given if stop)

    def biases(self) -> dict[int, float]:
        """logit_bias by token id. Raises 400 on a key that is not one."""
        try:
            return {int(token): bias for token, bias in (self.logit_bias or {}).items()}
        except ValueError as error:
            message = _("Les clés de logit_bias sont des identifiants de tokens.")
            raise ApiError(400, "invalid_value", message, "logit_bias") from error

    def constraint(self) -> Constraint | None:
        """The imposed form, or None. Raises 400 when two are given or one is not complete."""
        found = [
            c for c in (_from_response_format(self.response_format), _from_structured(self.structured_outputs)) if c
        ]
        if len(found) > 1:
            message = _("response_format et structured_outputs ne vont pas ensemble.")
            raise ApiError(400, "invalid_value", message, "structured_outputs")
        return found[0] if found else None

    def refuse_unsupported(self, *, allowed: frozenset[str] = frozenset()) -> None:
        """Raise 400 for a field that would change the answer and cannot be honoured."""
        for name, value in (self.model_extra or {}).items():
            if name in allowed or name not in _REFUSED or value is None or value in _REFUSED[name]:
                continue
            message = _("Le paramètre « %(name)s » n'est pas pris en charge par ce moteur.", name=name)
            raise ApiError(400, "unsupported_parameter", message, name)


class ChatBody(Sampling):
    """POST /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: int | None = Field(default=None, ge=0, le=MAX_TOKENS)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    chat_template_kwargs: dict[str, Any] | None = Field(
        default=None, description="Options du gabarit (enable_thinking…)"
    )

    def turns(self) -> list[Message]:
        """The messages as plain text. Raises 400 on a part that is not text."""
        turns: list[Message] = []
        for at, message in enumerate(self.messages):
            content = message.content
            if isinstance(content, list):
                content = "\n".join(_text(part, f"messages[{at}].content") for part in content)
            turns.append({"role": "system" if message.role == "developer" else message.role, "content": content or ""})
        return turns


class CompletionBody(Sampling):
    """POST /v1/completions."""

    prompt: str | list[int] | list[str] | list[list[int]] = Field(description="Texte, textes ou identifiants de tokens")
    echo: bool | None = None
    logprobs: int | None = Field(default=None, ge=0, le=20)

    def prompts(self) -> list[str | list[int]]:
        """One or several prompts, as a list. Raises 400 when there are none or too many."""
        given = self.prompt
        many: list[str | list[int]]
        if isinstance(given, str):
            many = [given]
        elif given and isinstance(given[0], int):
            many = [[int(i) for i in given if isinstance(i, int)]]
        else:
            many = [item for item in given if isinstance(item, str | list)]
        if not 0 < len(many) <= MAX_PROMPTS:
            message = _("Entre 1 et %(limit)s textes sont acceptés.", limit=MAX_PROMPTS)
            raise ApiError(400, "invalid_value", message, "prompt")
        return many


def _text(part: Part, param: str) -> str:
    if part.type in {"text", "input_text"} and part.text is not None:
        return part.text
    message = _("Ce modèle ne lit que du texte : « %(kind)s » n'est pas accepté.", kind=part.type)
    raise ApiError(400, "unsupported_content", message, param)


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
