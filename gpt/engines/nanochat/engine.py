"""nanochat checkpoints (https://github.com/karpathy/nanochat) served from their own folder, nothing unpickled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as Seq
from pathlib import Path
from typing import Any

import torch

from common.errors import ApiError
from common.machine.heap import give_memory_back
from common.machine.resources import read_resources, usable_cpus
from common.messages import _
from gpt.engines.answer import Following, Vocabulary
from gpt.engines.base import (
    Capabilities,
    Emit,
    GenerationRequest,
    Message,
    Prompt,
    SamplingDefaults,
    context_exceeded,
    text_of,
)
from gpt.engines.constraint import Constrainer
from gpt.engines.nanochat.chat import chat_ids
from gpt.engines.nanochat.layout import find_checkpoint
from gpt.engines.nanochat.runner import NanochatRunner
from gpt.engines.nanochat.tokenizer import ASSISTANT_END, BOS, NanochatTokenizer
from gpt.engines.nanochat.tools import Reader, ToolUse
from gpt.engines.nanochat.weights import load_model
from gpt.engines.options import EngineOptions
from gpt.engines.transformers.scheduler import Scheduler
from gpt.engines.transformers.sequence import Sequence
from gpt.prompts import PLAIN_STOPS, plain_chat

_log = logging.getLogger("frigo.gpt")
HONOURED = frozenset(
    {
        *("top_k", "min_p", "seed", "logprobs", "logit_bias", "presence_penalty", "frequency_penalty"),
        *("repetition_penalty", "min_tokens", "stop_token_ids", "ignore_eos", "bad_words", "json_schema", "grammar"),
    }
)
_CHAT_DEFAULTS = SamplingDefaults(temperature=0.6, top_k=50)  # scripts/chat_cli.py of nanochat
_CPU_SHARE = 0.5  # of the free memory that the caches may take: what runs beside us needs some too
_GPU_SHARE = 0.8
_ONE_THREAD_PARAMETERS = 30_000_000  # below, waking a second thread costs more than it computes


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
        self._chats = checkpoint.chats
        self._reader = Reader(self._tokenizer)
        special = self._tokenizer.special
        self._bos = special[BOS]
        ends = frozenset({special[ASSISTANT_END], self._bos})
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
            parameters=HONOURED,
        )
        self._constrainer = Constrainer(self._tokenizer.to_json(), sorted(ends))
        context = min(architecture.sequence_len, options.context or architecture.sequence_len)
        budget = options.cache_bytes or _spare_bytes(device)
        runner = NanochatRunner(model, self.parameters, context=context, budget=budget)
        self.context = runner.capacity
        self._scheduler = Scheduler(runner, 1 if self.parameters < _ONE_THREAD_PARAMETERS else threads)
        _log.info(
            "nanochat opened",
            extra={"generation": architecture.generation.commit, "source": checkpoint.source, "step": checkpoint.step},
        )

    def encode(self, text: str) -> Prompt:
        """A text to continue, begun as every text that the model has read: with <|bos|>."""
        self._refuse_endless(text, "prompt")
        return self.encode_ids([self._bos, *self._tokenizer.encode(text)])

    def encode_ids(self, ids: Seq[int]) -> Prompt:
        """Token ids to continue; none at all is <|bos|>. Raises 400 when one is outside the vocabulary."""
        ids = list(ids) or [self._bos]
        self._refuse_unknown(ids, "prompt")
        return Prompt(ids, context_ids=ids)

    def encode_chat(self, messages: Seq[Message], options: Mapping[str, Any]) -> Prompt:
        """A conversation, ready for the assistant's next turn. Raises 400 when roles do not alternate."""
        plain: list[Message] = [{"role": message["role"], "content": text_of(message)} for message in messages]
        self._refuse_endless("".join(map(text_of, plain)), "messages")
        if not self._chats:
            return Prompt(self.encode(plain_chat(plain)).ids, stops=PLAIN_STOPS)
        ids = chat_ids(plain, options, self._tokenizer)
        return Prompt(ids, context_ids=ids if options.get("continue_final_message") else [])

    def decode(self, ids: Seq[int]) -> str:
        """The text of `ids`, as a person reads it."""
        return self._reader.text([i for i in ids if i not in self._reader.silent])

    def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
        """Queue a generation. Raises 400 on what cannot be honoured, 503 when the queue is full."""
        self._refuse_unknown(request.logit_bias, "logit_bias")
        self._refuse_unknown(request.stop_token_ids, "stop_token_ids")
        if len(request.prompt.ids) + request.max_tokens > self.context:
            raise context_exceeded(len(request.prompt.ids) + request.max_tokens, self.context, "max_tokens")
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

    def _refuse_unknown(self, ids: Iterable[int], param: str) -> None:
        size = self._tokenizer.vocab_size
        wrong = next((i for i in ids if not 0 <= i < size), None)
        if wrong is not None:
            message = _("L'identifiant %(id)s n'est pas dans le vocabulaire (%(size)s).", id=wrong, size=size)
            raise ApiError(400, "invalid_value", message, param)

    def _refuse_endless(self, text: str, param: str) -> None:
        """Spare the tokenizer a text that cannot fit: a token stands for `longest` characters at most."""
        longest = self._tokenizer.longest
        if len(text) > longest * self.context:
            raise context_exceeded(len(text) // longest, self.context, param)


def _refuse_options(options: EngineOptions) -> None:
    if options.quantization in {"int8", "nf4"}:
        message = _(
            "IA_QUANTIZATION=%(asked)s : le moteur nanochat ne quantifie pas ; « none » ou « auto » conviennent.",
            asked=options.quantization,
        )
        raise ApiError(422, "model_unusable", message, "model")
    for key, _folder in options.adapters:
        _log.warning("adapter refused", extra={"adapter": key, "reason": "nanochat models take none"})


def _spare_bytes(device: torch.device) -> int:
    """Bytes that the caches may take where the model is, beside the weights already there."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * _GPU_SHARE)
    return int(read_resources(use_gpu=False).memory_available * _CPU_SHARE)
