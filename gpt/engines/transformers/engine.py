"""The universal engine: any decoder that transformers knows, on CPU or CUDA."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as Seq
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from common.errors import ApiError
from common.machine.heap import give_memory_back
from common.messages import _
from gpt.engines.answer import Vocabulary
from gpt.engines.base import (
    Capabilities,
    Emit,
    GenerationRequest,
    Message,
    Prompt,
    context_exceeded,
    has_image,
    text_of,
)
from gpt.engines.constraint import Constrainer, TokenMask
from gpt.engines.options import EngineOptions
from gpt.engines.transformers.adapters import Adapters
from gpt.engines.transformers.open import open_runner
from gpt.engines.transformers.scheduler import Scheduler
from gpt.engines.transformers.sequence import Sequence
from gpt.engines.transformers.vision import open_sight
from gpt.engines.transformers.weights import load_weights
from gpt.prompts import ANSWER_OPTIONS, PLAIN_STOPS, plain_chat, template_options

_log = logging.getLogger("frigo.gpt")
HONOURED = frozenset(
    {
        "top_k",
        "min_p",
        "seed",
        "logprobs",
        "logit_bias",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "min_tokens",
        "stop_token_ids",
        "ignore_eos",
        "bad_words",
        "adapter",
    }
)


class TransformersEngine:
    """One Hugging Face folder in memory."""

    name = "transformers"

    def __init__(self, folder: Path, options: EngineOptions) -> None:
        weights = load_weights(folder, options)
        self._tokenizer: Any = weights.tokenizer
        # an option of the template may not pass for one of transformers' own (chat_template, tokenizer_kwargs…)
        self._reserved = frozenset(inspect.signature(self._tokenizer.apply_chat_template).parameters) | {"messages"}
        self._vocabulary_size = weights.vocabulary
        self._vocabulary = Vocabulary(
            eos_ids=weights.eos_ids,
            special_ids=frozenset(weights.tokenizer.all_special_ids) | _special_added(weights.tokenizer),
            decode=self._plain_decode,
            token_bytes=self._token_bytes,
            tokenize=lambda text: list(self._tokenizer.encode(text, add_special_tokens=False)),
        )
        self.defaults = weights.defaults
        self._marks = [
            token.content
            for index, token in self._tokenizer.added_tokens_decoder.items()
            if index in self._vocabulary.special_ids and len(token.content) > 2
        ]
        self._longest = max(len(token) for token in weights.tokenizer.get_vocab())
        self.parameters = weights.parameters
        self.device = weights.device.type
        self.quantization = weights.quantization
        fast = bool(weights.tokenizer.is_fast)
        self._sight = open_sight(folder, weights.model, weights.tokenizer, weights.device)
        self._marks += self._sight.marks if self._sight is not None else []
        self.capabilities = Capabilities(
            chat_template=bool(weights.tokenizer.chat_template),
            images=self._sight is not None,
            template_options=template_options(weights.tokenizer.chat_template),
            parameters=HONOURED | ({"json_schema", "grammar"} if fast else set()),
        )
        self._constrainer = _constrainer(weights.tokenizer, weights.eos_ids) if fast else None
        self._runner = open_runner(weights, options, self._sight.read if self._sight is not None else None)
        self.context = min(weights.context, options.context or weights.context, self._runner.capacity)
        self._adapters = Adapters(weights.model)
        self._scheduler = Scheduler(self._runner, weights.threads)
        for key, source in options.adapters:
            try:
                self.load_adapter(key, source)
            except ApiError as error:  # the model serves all the same; who asks for the adapter is told why
                _log.warning("adapter refused", extra={"adapter": key, "reason": str(error.message)})

    def encode(self, text: str) -> Prompt:
        """A text to continue, begun as the tokenizer begins a text (BOS where the model has one)."""
        self._refuse_endless(text, "prompt")
        ids = list(self._tokenizer.encode(text, add_special_tokens=True))
        return self.encode_ids(ids)

    def encode_ids(self, ids: Seq[int]) -> Prompt:
        """Token ids to continue. Raises 400 when one is outside the vocabulary or there is none to start from."""
        ids = list(ids) or self._beginning()
        self._refuse_unknown(ids, "prompt")
        return Prompt(ids, context_ids=ids)

    def encode_chat(self, messages: Seq[Message], options: Mapping[str, Any]) -> Prompt:
        """A conversation, ready for the assistant's next turn. Raises 400 when the model's template refuses it."""
        if self._sight is not None and any(has_image(message) for message in messages):
            own = {name: value for name, value in options.items() if name not in self._reserved - ANSWER_OPTIONS}
            return self._sight.encode(messages, own, self._without_marks)
        messages = [{"role": m["role"], "content": text_of(m)} for m in messages]
        self._refuse_endless("".join(map(text_of, messages)), "messages")
        if not self.capabilities.chat_template:
            prompt = self.encode(plain_chat(messages))
            return Prompt(prompt.ids, stops=PLAIN_STOPS)
        messages = [{**message, "content": self._without_marks(text_of(message))} for message in messages]
        try:
            own = {name: value for name, value in options.items() if name not in self._reserved}
            begins = bool(options.get("continue_final_message"))
            own |= {"continue_final_message": begins}
            own |= {"add_generation_prompt": not begins and bool(options.get("add_generation_prompt", True))}
            text = self._tokenizer.apply_chat_template(messages, tokenize=False, **own)
        except (TemplateError, TypeError, ValueError) as error:
            reason = str(error)[:300]
            message = _("Le gabarit de conversation de ce modèle refuse ces messages : %(reason)s", reason=reason)
            raise ApiError(400, "invalid_messages", message, "messages") from error
        ids = list(self._tokenizer.encode(text, add_special_tokens=False))
        return Prompt(ids, context_ids=ids if begins else [])

    def decode(self, ids: Seq[int]) -> str:
        """The text of `ids`, special tokens left out."""
        return self._plain_decode(list(ids))

    def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
        """Queue a generation. Raises 400 on what cannot be honoured, 503 when the queue is full."""
        self._refuse_unknown(request.logit_bias, "logit_bias")
        self._refuse_unknown(request.stop_token_ids, "stop_token_ids")
        if len(request.prompt.ids) + request.max_tokens > self.context:
            raise context_exceeded(len(request.prompt.ids) + request.max_tokens, self.context, "max_tokens")
        mask = self._mask(request)
        if request.adapter is None:
            sequence = Sequence(request, self._vocabulary, mask, emit)
            self._scheduler.submit(sequence)
            return sequence.cancel
        emit, release = self._adapters.hold(request.adapter, emit)
        sequence = Sequence(request, self._vocabulary, mask, emit)

        def cancel() -> None:
            sequence.cancel()
            release()

        try:
            self._scheduler.submit(sequence)
        except BaseException:
            release()
            raise
        return cancel

    def load_adapter(self, key: str, folder: Path) -> None:
        """See `AdapterEngine`."""
        self._adapters.load(key, folder)

    def unload_adapter(self, key: str) -> None:
        """See `AdapterEngine`."""
        self._adapters.unload(key)

    def adapters(self) -> tuple[str, ...]:
        """See `AdapterEngine`."""
        return self._adapters.keys()

    @property
    def load(self) -> tuple[int, int]:
        """How many generations are running, and how many wait."""
        return self._scheduler.load

    def close(self) -> None:
        """Free the model, and give its memory back to the machine."""
        self._scheduler.close()
        give_memory_back(collect=True)

    def _mask(self, request: GenerationRequest) -> TokenMask | None:
        if request.constraint is None:
            return None
        if self._constrainer is None:
            message = _("Le tokenizer de ce modèle ne permet pas d'imposer une forme à la réponse.")
            raise ApiError(400, "unsupported_parameter", message, request.constraint.param)
        return self._constrainer.start(request.constraint)

    def _refuse_unknown(self, ids: Iterable[int], param: str) -> None:
        wrong = next((i for i in ids if not 0 <= i < self._vocabulary_size), None)
        if wrong is not None:
            message = _(
                "L'identifiant %(id)s n'est pas dans le vocabulaire (%(size)s).", id=wrong, size=self._vocabulary_size
            )
            raise ApiError(400, "invalid_value", message, param)

    def _without_marks(self, content: str) -> str:
        """`content` with the model's own marks (end of turn, roles…) broken by a space: a text may not fake a turn."""
        for mark in self._marks:
            if mark in content:
                content = content.replace(mark, f"{mark[0]} {mark[1:]}")
        return content

    def _refuse_endless(self, text: str, param: str) -> None:
        """Spare the tokenizer a text that cannot fit: a token stands for `_longest` characters at most."""
        if len(text) > self._longest * self.context:
            raise context_exceeded(len(text) // self._longest, self.context, param)

    def _beginning(self) -> list[int]:
        """What an empty prompt starts from: BOS, or the end-of-text token that models without one were trained on."""
        for token in (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return [int(token)]
        raise ApiError(400, "invalid_value", _("Ce modèle ne peut pas commencer sans texte."), "prompt")

    def _plain_decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _token_bytes(self, token: int) -> bytes:
        if self._constrainer is not None:
            return self._constrainer.token_bytes(token)
        return self._plain_decode([token]).encode()


def _special_added(tokenizer: Any) -> frozenset[int]:
    """Added tokens marked special that `all_special_ids` does not list (end-of-turn marks of chat models)."""
    return frozenset(int(i) for i, token in tokenizer.added_tokens_decoder.items() if token.special)


def _constrainer(tokenizer: Any, eos_ids: frozenset[int]) -> Constrainer:
    return Constrainer(tokenizer.backend_tokenizer.to_str(), sorted(eos_ids))
