"""What every language engine is: text in as token ids, text out as deltas, its capabilities declared.

An engine knows nothing of HTTP. It refuses with `ApiError` what it cannot do; callers check `capabilities` first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired, Protocol, TypedDict, runtime_checkable

from common.errors import ApiError
from common.messages import _
from gpt.tools.styles import PLAIN, Dialect, Thinking

GREEDY = 1e-5  # a temperature below is 0
FinishReason = Literal["stop", "length"]
ConstraintKind = Literal["json_schema", "json_object", "grammar", "regex", "choice"]


@dataclass(frozen=True)
class Capabilities:
    """What an engine can honour with the model it holds.

    `parameters` names the optional parts of a request: fields of `GenerationRequest` (``logprobs``, ``logit_bias``,
    ``presence_penalty``…), ``json_schema`` for the JSON constraints and ``grammar`` for the other ones. What is not
    there is refused by name before anything is computed.
    """

    chat_template: bool = False  # the model brings its own; without, `gpt.prompts` has a plain one
    images: bool = False
    parameters: frozenset[str] = frozenset()
    template_options: frozenset[str] = frozenset()  # what `encode_chat` honours (see `gpt.prompts.template_options`)
    dialect: Dialect = PLAIN  # how it writes calls and thoughts
    scores: bool = False  # see `ReadingEngine`
    embeds: bool = False


# What an engine honours that chooses its tokens itself, from the logits.
SAMPLING_PARAMETERS = frozenset(
    {
        *("top_k", "min_p", "seed", "logprobs", "logit_bias", "presence_penalty", "frequency_penalty"),
        *("repetition_penalty", "min_tokens", "stop_token_ids", "ignore_eos", "bad_words"),
    }
)
FORMS = frozenset({"json_schema", "grammar"})  # what it can impose on an answer with `gpt.engines.constraint`


class TextPart(TypedDict):
    """A piece of text in a message."""

    type: Literal["text"]
    text: str


class ImagePart(TypedDict):
    """An image in a message: the bytes of a PNG, JPEG, WebP or GIF file."""

    type: Literal["image"]
    data: bytes


class Message(TypedDict):
    """One turn: plain text, or text and images in their order.

    `tool_calls` are OpenAI's, their arguments read when they are an object; `reasoning_content` is what was thought.
    """

    role: str
    content: str | list[TextPart | ImagePart]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[dict[str, Any]]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]  # of the tool that gives a result


@dataclass(frozen=True)
class Constraint:
    """The answer's imposed form. `param` is the request's field it came from, named when it is refused."""

    kind: ConstraintKind
    value: Any
    param: str


@dataclass(frozen=True)
class Prompt:
    """A prompt ready for the model.

    `context_ids` are the ids before the answer that the answer's spacing depends on: the prompt's end for a
    continuation, nothing for a new chat turn. `stops` end the answer without being asked for (plain chat template).
    `images` are the files that the placeholders among `ids` stand for, in their order. `thinking` says whether a
    thought begins with the answer. `given` is where the text to continue is among `ids`, when not everywhere.
    """

    ids: list[int]
    context_ids: list[int] = field(default_factory=list)
    stops: tuple[str, ...] = ()
    images: tuple[bytes, ...] = ()
    thinking: Thinking | None = None
    given: tuple[int, int] | None = None


@dataclass(frozen=True)
class SamplingDefaults:
    """How a model is sampled when a request does not say: its authors' own settings (generation_config.json)."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0


@dataclass(frozen=True)
class GenerationRequest:
    """One generation. `temperature` 0 is greedy; `top_k` 0 is all; `seed` None draws one; `max_tokens` counts
    sampled tokens."""

    prompt: Prompt
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    constraint: Constraint | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] = field(default_factory=dict)
    logprobs: int | None = None  # how many alternatives to give beside each token; None: no logprobs
    min_p: float = 0.0  # least probability, relative to the likeliest token's
    repetition_penalty: float = 1.0  # divides (multiplies, below zero) the logits of what was read or written
    min_tokens: int = 0  # no end before that many sampled tokens
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    bad_words: tuple[str, ...] = ()
    adapter: str | None = None  # the key of a loaded adapter; None: the model itself
    shown: dict[int, str] = field(default_factory=dict)  # special tokens that the answer's text shall show, and how

    @property
    def greedy(self) -> bool:
        """True when the likeliest token is always taken."""
        return self.temperature < GREEDY or self.top_k == 1


@dataclass(frozen=True)
class TokenLogprob:
    """A token, its natural-log probability before temperature, and the likeliest alternatives (itself included)."""

    token_id: int
    text: str
    raw: bytes
    logprob: float
    top: tuple[tuple[int, str, bytes, float], ...] = ()


@dataclass(frozen=True)
class Usage:
    """Token counts of the tokenizer itself. The end-of-text token counts as sampled, as elsewhere in the field."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Delta:
    """A piece of the answer; the last one has `finish_reason` and `usage`."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


Emit = Callable[["Delta | Exception"], None]


def text_of(message: Message) -> str:
    """The message's text, for an engine that reads nothing else. Raises 400 on an image."""
    content = message["content"]
    if isinstance(content, str):
        return content
    texts = []
    for part in content:
        if part["type"] != "text":
            reason = _("Ce modèle ne lit que du texte : il n'accepte pas d'image.")
            raise ApiError(400, "unsupported_content", reason, "messages")
        texts.append(part["text"])
    return "\n".join(texts)


def has_image(message: Message) -> bool:
    """True when there is an image among the message's parts."""
    content = message["content"]
    return not isinstance(content, str) and any(part["type"] == "image" for part in content)


def context_exceeded(tokens: int, context: int, param: str) -> ApiError:
    """The 400 of a prompt that the model cannot hold, with both numbers."""
    message = _("Ce modèle tient %(context)s tokens, la demande en fait %(tokens)s.", context=context, tokens=tokens)
    return ApiError(400, "context_length_exceeded", message, param)


class LanguageEngine(Protocol):
    """A loaded model. Thread-safe: several generations run at once.

    `submit` queues a generation and returns at once: deltas come to `emit` in order, from a thread of the engine's,
    the last one with `finish_reason`, or an exception instead. What it returns cancels the generation within one
    token (any thread, any time, any number of times); nothing is promised to `emit` after that.
    """

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> Capabilities: ...
    @property
    def context(self) -> int: ...  # tokens, prompt and answer together
    @property
    def defaults(self) -> SamplingDefaults: ...
    @property
    def load(self) -> tuple[int, int]: ...  # generations running, and waiting

    def encode(self, text: str) -> Prompt: ...
    def encode_ids(self, ids: Sequence[int]) -> Prompt: ...
    def encode_infill(self, text: str, suffix: str) -> Prompt: ...
    def encode_chat(self, messages: Sequence[Message], options: Mapping[str, Any]) -> Prompt: ...  # also: tools
    def decode(self, ids: Sequence[int]) -> str: ...
    def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]: ...
    def close(self) -> None: ...


class ReadingEngine(Protocol):
    """An engine that tells what its model makes of a text: `Capabilities.scores` and `Capabilities.embeds`."""

    def score(self, prompt: Prompt, top: int, adapter: str | None = None) -> tuple[TokenLogprob, ...]:
        """The log-probability of each of the prompt's given tokens after those before it, and the `top` likeliest
        ones; the first of all as what begins a text. Special tokens are left out.

        Raises 400 when there is nothing that begins a text, or the text is too long for that.
        """

    def embed(self, ids: Sequence[int], adapter: str | None = None) -> list[float]:
        """The mean over `ids` of the model's last hidden states, of length 1. Raises 400 on ids it does not hold."""


@runtime_checkable
class AdapterEngine(Protocol):
    """An engine that holds LoRA adapters beside its model, when ``adapter`` is among its capabilities' parameters.

    `GenerationRequest.adapter` names one by its key; generations with and without adapters run together.
    """

    def load_adapter(self, key: str, folder: Path) -> None:
        """Add the adapter of `folder` while the model serves; one already held under `key` is left as it is.

        Raises 422 `adapter_unusable` with the reason (no safetensors, another base model, unknown layers…).
        """

    def unload_adapter(self, key: str) -> None:
        """Free an adapter once the generations that use it have ended; an unknown key is nothing to do."""

    def adapters(self) -> tuple[str, ...]:
        """The keys held."""
