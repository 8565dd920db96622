"""Bodies of /v1/chat/completions and /v1/completions. Every field that would change the answer is here, honoured or
refused by name (see `gpt.wire.refused`); anything else a client sends is a hint, accepted and left alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import Message
from gpt.wire.constraints import Constrained
from gpt.wire.content import ChatMessage, first_image, read_messages, refuse_without_content
from gpt.wire.refused import REFUSED, REFUSED_IN_CHAT, REFUSED_IN_COMPLETION, refuse, refuse_deep, unsupported
from gpt.wire.texts import Texts, one_or_several
from gpt.wire.tools import Tooled

MAX_TOKENS = 1_000_000
MAX_CHOICES = 8
MAX_BEST_OF = 16
MAX_PROMPTS = 64
MAX_STOPS = 16
MAX_WORDS = 64
MAX_MESSAGES = 10_000

# Fields that go to GenerationRequest under the same name, as they are
_SAME = (
    "frequency_penalty",
    "ignore_eos",
    "min_p",
    "min_tokens",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "temperature",
    "top_p",
)


class StreamOptions(BaseModel):
    """What else to stream."""

    include_usage: bool = False


class Sampling(Constrained, ABC):
    """What both endpoints share."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(
        default=None, max_length=500, description="Clé ou alias ; absent ou default : celui qui est prêt"
    )
    max_tokens: int | None = Field(default=None, ge=0, le=MAX_TOKENS)
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(default=None, ge=-1, description="Extension de vLLM ; 0 ou -1 : tous les tokens")
    min_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False, description="Extension de vLLM")
    n: int | None = Field(default=None, ge=1, le=MAX_CHOICES)
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = Field(default=None, max_length=MAX_WORDS, description="Extension de vLLM")
    bad_words: list[str] | None = Field(default=None, max_length=MAX_WORDS, description="Extension de vLLM")
    ignore_eos: bool | None = Field(default=None, description="Extension de vLLM")
    min_tokens: int | None = Field(default=None, ge=0, le=MAX_TOKENS, description="Extension de vLLM")
    seed: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    repetition_penalty: float | None = Field(
        default=None, gt=0, le=10, allow_inf_nan=False, description="Extension de vLLM"
    )
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None

    def sampling(self) -> dict[str, Any]:
        """The fields of `GenerationRequest` that the body sets. Raises 400 on a value that means nothing."""
        found = {name: getattr(self, name) for name in _SAME}
        found["top_k"] = None if self.top_k is None else max(0, self.top_k)
        found["stop"] = self._stops()
        found["stop_token_ids"] = tuple(self.stop_token_ids or ())
        found["bad_words"] = tuple(word for word in self.bad_words or () if word)
        found["logit_bias"] = self._biases()
        return {name: value for name, value in found.items() if value is not None}

    def limit(self) -> tuple[int | None, str]:
        """The most tokens to sample, None when not said, and the field that says it."""
        return self.max_tokens, "max_tokens"

    def candidates(self) -> int:
        """How many answers to compute for each prompt."""
        return self.n or 1

    @abstractmethod
    def alternatives(self) -> int | None:
        """How many alternatives to give beside each token; None when no log-probability is asked for."""

    def refuse_unsupported(self) -> None:
        """Raise 400 for a field that would change the answer and cannot be honoured, or contradicts another."""
        refuse(self.model_extra, REFUSED)
        limit, name = self.limit()
        if limit is not None and self.min_tokens is not None and self.min_tokens > limit:
            message = _(
                "min_tokens (%(least)s) dépasse %(name)s (%(most)s).", least=self.min_tokens, name=name, most=limit
            )
            raise ApiError(400, "invalid_value", message, "min_tokens")

    def _stops(self) -> tuple[str, ...]:
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(given) > MAX_STOPS:
            message = _("Au plus %(limit)s chaînes d'arrêt sont acceptées.", limit=MAX_STOPS)
            raise ApiError(400, "invalid_value", message, "stop")
        return tuple(stop for stop in given if stop)

    def _biases(self) -> dict[int, float]:
        try:
            return {int(token): bias for token, bias in (self.logit_bias or {}).items() if bias}
        except ValueError as error:
            message = _("Les clés de logit_bias sont des identifiants de tokens.")
            raise ApiError(400, "invalid_value", message, "logit_bias") from error


class ChatBody(Tooled, Sampling):
    """POST /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: int | None = Field(default=None, ge=0, le=MAX_TOKENS)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    add_generation_prompt: bool | None = Field(default=None, description="Extension de vLLM ; vrai si absent")
    continue_final_message: bool | None = Field(
        default=None, description="Extension de vLLM : continuer le dernier message au lieu d'y répondre"
    )
    chat_template_kwargs: dict[str, Any] | None = Field(
        default=None, description="Options du gabarit (enable_thinking…)"
    )

    @field_validator("messages")
    @classmethod
    def _say_something(cls, messages: list[ChatMessage]) -> list[ChatMessage]:
        refuse_without_content(messages)
        return messages

    def turns(self) -> list[Message]:
        """The messages. Raises 400 on a part that is neither text nor an image."""
        return read_messages(self.messages)

    def image(self) -> tuple[str, str] | None:
        """Where the first image is and what its part is called; None when there is only text."""
        return first_image(self.messages)

    def template(self, honoured: frozenset[str]) -> dict[str, Any]:
        """Options for the chat template, which honours `honoured`. Raises 400 when it would ignore a field."""
        refuse_deep(self.chat_template_kwargs, "chat_template_kwargs")
        options = {name: value for name, value in (self.chat_template_kwargs or {}).items() if name != "tools"}
        if self.reasoning_effort is not None:
            if "reasoning_effort" in honoured:
                options.setdefault("reasoning_effort", self.reasoning_effort)
            elif "enable_thinking" in honoured:
                options.setdefault("enable_thinking", self.reasoning_effort not in {"none", "minimal"})
            elif self.reasoning_effort != "none":
                raise unsupported("reasoning_effort")
        begins = self.continue_final_message or False
        prompts = not begins if self.add_generation_prompt is None else self.add_generation_prompt
        if begins and prompts:
            message = _("add_generation_prompt et continue_final_message ne vont pas ensemble.")
            raise ApiError(400, "invalid_value", message, "continue_final_message")
        for name, value, usual in (
            ("continue_final_message", begins, False),
            ("add_generation_prompt", prompts, not begins),
        ):
            if value != usual and name not in honoured:
                raise unsupported(name)
            options.pop(name, None)
        if begins:
            options["continue_final_message"] = True
        elif not prompts:
            options["add_generation_prompt"] = False
        return options

    def limit(self) -> tuple[int | None, str]:
        """As `Sampling.limit`; the newer name wins."""
        if self.max_completion_tokens is not None:
            return self.max_completion_tokens, "max_completion_tokens"
        return super().limit()

    def alternatives(self) -> int | None:
        """As `Sampling.alternatives`."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def refuse_unsupported(self) -> None:
        """As `Sampling.refuse_unsupported`."""
        super().refuse_unsupported()
        refuse(self.model_extra, REFUSED_IN_CHAT)
        given = self.model_extra or {}
        if given.get("audio") is not None and "audio" in (given.get("modalities") or ()):
            raise unsupported("audio")
        if given.get("web_search_options") is not None and self.tool_choice != "none":
            raise unsupported("web_search_options")  # the search is a tool: with "none" nothing is searched anywhere
        if self.top_logprobs and not self.logprobs:
            message = _("top_logprobs ne vaut qu'avec logprobs: true.")
            raise ApiError(400, "invalid_value", message, "top_logprobs")


class CompletionBody(Sampling):
    """POST /v1/completions."""

    prompt: Texts = Field(description="Texte, textes ou identifiants de tokens")
    suffix: str | None = Field(default=None, description="Ce qui vient après le texte à écrire")
    echo: bool | None = None
    best_of: int | None = Field(default=None, ge=0, le=MAX_BEST_OF, description="0 : autant que n")
    logprobs: int | None = Field(default=None, ge=0, le=20)

    def prompts(self) -> list[str | list[int]]:
        """One or several prompts, as a list. Raises 400 when there are none or too many."""
        return one_or_several(self.prompt, MAX_PROMPTS, "prompt")

    def candidates(self) -> int:
        """As `Sampling.candidates`: the `best_of` from which the best `n` are kept."""
        return max(self.best_of or 1, self.n or 1)

    def alternatives(self) -> int | None:
        """As `Sampling.alternatives`."""
        return self.logprobs

    def refuse_unsupported(self) -> None:
        """As `Sampling.refuse_unsupported`."""
        super().refuse_unsupported()
        refuse(self.model_extra, REFUSED_IN_COMPLETION)
        if self.suffix and not all(isinstance(prompt, str) for prompt in self.prompts()):
            message = _("suffix ne va qu'avec un texte, pas avec des identifiants de tokens.")
            raise ApiError(400, "invalid_value", message, "suffix")
        if self.best_of and self.best_of < (self.n or 1):
            message = _("best_of (%(best)s) est inférieur à n (%(n)s).", best=self.best_of, n=self.n)
            raise ApiError(400, "invalid_value", message, "best_of")
        if self.stream and self.candidates() > (self.n or 1):
            message = _("best_of ne va pas avec stream : le meilleur n'est connu qu'à la fin.")
            raise ApiError(400, "invalid_value", message, "best_of")
