"""nanochat checkpoints (https://github.com/karpathy/nanochat) served from their own folder, nothing unpickled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Seq
from pathlib import Path
from typing import Any

import torch

from common.errors import ApiError
from common.machine.heap import give_memory_back
from common.machine.resources import usable_cpus
from common.messages import _
from gpt.engines.answer import Following, Vocabulary
from gpt.engines.base import (
    FORMS,
    SAMPLING_PARAMETERS,
    Capabilities,
    Emit,
    GenerationRequest,
    Message,
    Prompt,
    SamplingDefaults,
)
from gpt.engines.constraint import Constrainer
from gpt.engines.cpu import SMALL_PARAMETERS
from gpt.engines.nanochat.chat import chat_ids
from gpt.engines.nanochat.layout import find_checkpoint
from gpt.engines.nanochat.runner import NanochatRunner
from gpt.engines.nanochat.tokenizer import ASSISTANT_END, BOS, NanochatTokenizer
from gpt.engines.nanochat.tools import Reader, ToolUse
from gpt.engines.nanochat.weights import load_model
from gpt.engines.options import EngineOptions
from gpt.engines.prompter import Prompter
from gpt.engines.transformers.runner import spare_bytes
from gpt.engines.transformers.scheduler import Scheduler
from gpt.engines.transformers.sequence import Sequence

_log = logging.getLogger("frigo.gpt")
_CHAT_DEFAULTS = SamplingDefaults(temperature=0.6, top_k=50)  # scripts/chat_cli.py of nanochat


class NanochatEngine:
    """One nanochat checkpoint in memory. `folder` as `gpt.engines.nanochat.layout` understands it.

    The model's calculator runs inside generation: its results are read by the model and shown in the text, and do not
    count as sampled. A model that was only pretrained has no turns: conversations are written as plain dialogue.
    """

    name = "nanochat"
    quantization = "none"

    def __init__(self, folder: Path, options: EngineOptions) -> None:
        """Raises `ApiError` 422 with the reason when the folder holds nothing that can be opened with certainty."""
        _refuse_options(options)
        checkpoint = find_checkpoint(folder)
        device = torch.device("cuda" if options.use_gpu and torch.cuda.is_available() else "cpu")
        threads = options.threads or usable_cpus()
        torch.set_num_threads(threads)
        self._tokenizer = NanochatTokenizer(checkpoint.tokenizer)
        model, self.parameters = load_model(checkpoint, device)
        architecture = model.architecture
        if architecture.vocab_size != self._tokenizer.vocab_size:
            message = _(
                "Le tokenizer connaît %(tokens)s tokens, le modèle %(vocabulary)s : ils ne vont pas ensemble.",
                tokens=self._tokenizer.vocab_size,
                vocabulary=architecture.vocab_size,
            )
            raise ApiError(422, "model_unusable", message, "model")
        self.device = device.type
        self._reader = Reader(self._tokenizer)
        special = self._tokenizer.special
        ends = frozenset({special[ASSISTANT_END], special[BOS]})
        self._vocabulary = Vocabulary(
            eos_ids=ends,
            special_ids=self._reader.silent,
            decode=self._reader.text,
            token_bytes=self._tokenizer.token_bytes,
            tokenize=self._tokenizer.encode,
        )
        self.defaults = _CHAT_DEFAULTS if checkpoint.chats else SamplingDefaults()
        options_of_chat = frozenset({"add_generation_prompt", "continue_final_message"})
        self.capabilities = Capabilities(
            chat_template=checkpoint.chats,
            template_options=options_of_chat if checkpoint.chats else frozenset(),
            parameters=SAMPLING_PARAMETERS | FORMS,
        )
        self._constrainer = Constrainer(self._tokenizer.to_json(), sorted(ends))
        context = min(architecture.sequence_len, options.context or architecture.sequence_len)
        budget = options.cache_bytes or spare_bytes(device)
        runner = NanochatRunner(model, self.parameters, context=context, budget=budget)
        self.context = runner.capacity
        bos, tokenize = special[BOS], self._tokenizer.encode
        self._prompter = Prompter(
            tokenize=lambda text, begin: [bos, *tokenize(text)] if begin else tokenize(text),
            vocabulary=self._tokenizer.vocab_size,
            context=self.context,
            longest=self._tokenizer.longest,
            beginnings=[bos],
            marks=(),  # a text is never read as marks
            turns=self._turns if checkpoint.chats else None,
        )
        self._scheduler = Scheduler(runner, 1 if self.parameters < SMALL_PARAMETERS else threads)
        _log.info(
            "nanochat opened",
            extra={"generation": architecture.generation.commit, "source": checkpoint.source, "step": checkpoint.step},
        )

    def encode(self, text: str) -> Prompt:
        """A text to continue, begun as every text that the model has read: with <|bos|>."""
        return self._prompter.text(text)

    def encode_ids(self, ids: Seq[int]) -> Prompt:
        """Token ids to continue; none at all is <|bos|>. Raises 400 when one is outside the vocabulary."""
        return self._prompter.ids(ids)

    def encode_chat(self, messages: Seq[Message], options: Mapping[str, Any]) -> Prompt:
        """A conversation, ready for the assistant's next turn. Raises 400 when roles do not alternate."""
        return self._prompter.chat(messages, options)

    def encode_infill(self, text: str, suffix: str) -> Prompt:
        """A text to continue until `suffix`."""
        return self._prompter.infill(text, suffix)

    def _turns(self, messages: Seq[Message], options: Mapping[str, Any]) -> tuple[list[int], str]:
        return chat_ids(messages, options, self._tokenizer), ""

    def decode(self, ids: Seq[int]) -> str:
        """The text of `ids`, as a person reads it."""
        return self._reader.text([i for i in ids if i not in self._reader.silent])

    def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
        """Queue a generation. Raises 400 on what cannot be honoured, 503 when the queue is full."""
        self._prompter.check(request)
        mask = self._constrainer.start(request.constraint) if request.constraint is not None else None
        following = Following(ToolUse(self._tokenizer).push, self.context) if mask is None else None
        sequence = Sequence(request, self._vocabulary, mask, emit, following)
        self._scheduler.submit(sequence)
        return sequence.cancel

    @property
    def load(self) -> tuple[int, int]:
        """How many generations are running, and how many wait."""
        return self._scheduler.load

    def close(self) -> None:
        """Free the model, and give its memory back to the machine."""
        self._scheduler.close()
        give_memory_back(collect=True)


def _refuse_options(options: EngineOptions) -> None:
    if options.quantization in {"int8", "nf4"}:
        message = _(
            "quantization=%(asked)s (IA_QUANTIZATION) : le moteur nanochat ne quantifie pas ; "
            "« none » ou « auto » conviennent.",
            asked=options.quantization,
        )
        raise ApiError(422, "model_unusable", message, "model")
    for key, _folder in options.adapters:
        _log.warning("adapter refused", extra={"adapter": key, "reason": "nanochat models take none"})
