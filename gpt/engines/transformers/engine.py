"""The universal engine: any decoder that transformers knows, on CPU or CUDA."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Seq
from pathlib import Path
from typing import Any

from common.errors import ApiError
from common.machine.heap import give_memory_back
from common.messages import _
from gpt.engines.answer import Vocabulary
from gpt.engines.base import (
    FORMS,
    SAMPLING_PARAMETERS,
    Capabilities,
    Emit,
    GenerationRequest,
    Message,
    Prompt,
    TokenLogprob,
    context_exceeded,
    has_image,
)
from gpt.engines.constraint import Constrainer, TokenMask
from gpt.engines.options import EngineOptions
from gpt.engines.prompter import Prompter, templated
from gpt.engines.scoring import scored
from gpt.engines.template import chosen_template, open_template
from gpt.engines.transformers.adapters import Adapters
from gpt.engines.transformers.open import open_runner
from gpt.engines.transformers.scheduler import Scheduler
from gpt.engines.transformers.sequence import Sequence
from gpt.engines.transformers.vision import open_sight
from gpt.engines.transformers.weights import load_weights
from gpt.prompts import template_options
from gpt.tools.styles import dialect_of

_log = logging.getLogger("frigo.gpt")


class TransformersEngine:
    """One Hugging Face folder in memory."""

    name = "transformers"

    def __init__(self, folder: Path, options: EngineOptions) -> None:
        weights = load_weights(folder, options)
        self._tokenizer: Any = weights.tokenizer
        template = open_template(chosen_template(self._tokenizer.chat_template), self._tokenizer.special_tokens_map)
        self._vocabulary = Vocabulary(
            eos_ids=weights.eos_ids,
            special_ids=frozenset(weights.tokenizer.all_special_ids) | _special_added(weights.tokenizer),
            decode=self._plain_decode,
            token_bytes=self._token_bytes,
            tokenize=lambda text: self._tokenize(text, False),
        )
        dialect = dialect_of(template.source if template else None, self._added())
        self.defaults = weights.defaults
        self.parameters = weights.parameters
        self.device = weights.device.type
        self.quantization = weights.quantization
        fast = bool(weights.tokenizer.is_fast)
        self._sight = open_sight(folder, weights.model, weights.tokenizer, weights.device)
        self.capabilities = Capabilities(
            chat_template=template is not None,
            images=self._sight is not None,
            template_options=template_options(template.source if template else None),
            parameters=SAMPLING_PARAMETERS | {"adapter"} | (FORMS if fast else set()),
            dialect=dialect,
            scores=True,
            embeds=True,
        )
        self._constrainer = _constrainer(weights.tokenizer, weights.eos_ids) if fast else None
        self._runner = open_runner(weights, options, self._sight.read if self._sight is not None else None)
        self.context = min(weights.context, options.context or weights.context, self._runner.capacity)
        starts = (weights.tokenizer.bos_token_id, weights.tokenizer.eos_token_id)
        self._prompter = Prompter(
            tokenize=self._tokenize,
            vocabulary=weights.vocabulary,
            context=self.context,
            longest=max(len(token) for token in weights.tokenizer.get_vocab()),
            beginnings=[int(token) for token in starts if token is not None],
            marks=self._marks(),
            turns=templated(template, self._tokenize),
            dialect=dialect,
            token_id=self._token_id,
        )
        self._adapters = Adapters(weights.model)
        self._scheduler = Scheduler(self._runner, weights.threads)
        for key, source in options.adapters:
            try:
                self.load_adapter(key, source)
            except ApiError as error:  # the model serves all the same; who asks for the adapter is told why
                _log.warning("adapter refused", extra={"adapter": key, "reason": str(error.message)})

    def encode(self, text: str) -> Prompt:
        """A text to continue, begun as the tokenizer begins a text (BOS where the model has one)."""
        return self._prompter.text(text)

    def encode_ids(self, ids: Seq[int]) -> Prompt:
        """Token ids to continue. Raises 400 when one is outside the vocabulary or there is none to start from."""
        return self._prompter.ids(ids)

    def encode_infill(self, text: str, suffix: str) -> Prompt:
        """A text to continue until `suffix`."""
        return self._prompter.infill(text, suffix)

    def encode_chat(self, messages: Seq[Message], options: Mapping[str, Any]) -> Prompt:
        """A conversation, ready for the assistant's next turn. Raises 400 when the model's template refuses it."""
        if self._sight is not None and any(has_image(message) for message in messages):
            return self._sight.encode(messages, options, self._prompter)
        return self._prompter.chat(messages, options)

    def decode(self, ids: Seq[int]) -> str:
        """The text of `ids`, special tokens left out."""
        return self._plain_decode(list(ids))

    def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
        """Queue a generation. Raises 400 on what cannot be honoured, 503 when the queue is full."""
        self._prompter.check(request)
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

    def score(self, prompt: Prompt, top: int, adapter: str | None = None) -> tuple[TokenLogprob, ...]:
        """See `ReadingEngine`."""
        ids, start, end = self._prompter.scored(prompt)
        if end > self.context:
            raise context_exceeded(end, self.context, "prompt")
        rows = (
            row.float().cpu().numpy() for part in self._passes(ids[: end - 1], adapter, hidden=False) for row in part
        )
        wanted = itertools.islice(rows, start - 1, None)
        return scored(ids[start:end], wanted, top, self._vocabulary.special_ids, self._vocabulary.piece)

    def embed(self, ids: Seq[int], adapter: str | None = None) -> list[float]:
        """See `ReadingEngine`. Two texts of the same ids have the same vector, whatever runs beside."""
        self._prompter.ids(ids)
        if not 0 < len(ids) <= self.context:
            raise context_exceeded(len(ids), self.context, "input")
        total: Any = sum(part.double().sum(dim=0) for part in self._passes(list(ids), adapter, hidden=True))
        length = total.norm()
        return [float(value) for value in (total / length if float(length) > 0 else total)]

    def _passes(self, ids: list[int], adapter: str | None, *, hidden: bool) -> Iterator[Any]:
        """The slices of a text, each read by the model's thread between two steps of the generations."""
        release = self._adapters.hold(adapter, lambda _item: None)[1] if adapter is not None else None
        try:
            slices = self._runner.passes(ids, adapter, hidden=hidden) if ids else iter(())
            while (part := self._scheduler.run(lambda: next(slices, None))) is not None:
                yield part
        finally:
            if release is not None:
                release()

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

    def _marks(self) -> list[str]:
        """The model's own marks (end of turn, roles, images…)."""
        added = self._tokenizer.added_tokens_decoder.items()
        special = [token.content for index, token in added if index in self._vocabulary.special_ids]
        return [mark for mark in special if len(mark) > 2] + (self._sight.marks if self._sight is not None else [])

    def _tokenize(self, text: str, begin: bool) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=begin))

    def _plain_decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _token_id(self, token: str) -> int | None:
        found = self._tokenizer.get_vocab().get(token)
        return None if found is None else int(found)

    def _added(self) -> dict[int, tuple[str, bool]]:
        listed = self._tokenizer.added_tokens_decoder.items()
        return {int(i): (token.content, i in self._vocabulary.special_ids) for i, token in listed}

    def _token_bytes(self, token: int) -> bytes:
        if self._constrainer is not None:
            return self._constrainer.token_bytes(token)
        return self._plain_decode([token]).encode()


def _special_added(tokenizer: Any) -> frozenset[int]:
    """Added tokens marked special that `all_special_ids` does not list (end-of-turn marks of chat models)."""
    return frozenset(int(i) for i, token in tokenizer.added_tokens_decoder.items() if token.special)


def _constrainer(tokenizer: Any, eos_ids: frozenset[int]) -> Constrainer:
    return Constrainer(tokenizer.backend_tokenizer.to_str(), sorted(eos_ids))
