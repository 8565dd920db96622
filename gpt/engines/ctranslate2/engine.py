"""The light engine: CTranslate2 on a CPU, from a Hugging Face folder, without torch or transformers."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when OpenMP starts: two engines on the same cores
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy multiplies no matrix here: spare its threads' memory

import ctranslate2

from common.errors import ApiError
from common.machine.heap import give_memory_back
from common.machine.resources import read_resources, usable_cpus
from common.messages import _
from common.models.footprint import read_folder
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
)
from gpt.engines.cpu import SMALL_PARAMETERS
from gpt.engines.ctranslate2.answer import CTranslate2Answer
from gpt.engines.ctranslate2.convert import Compute, compute_type, converted_apart
from gpt.engines.ctranslate2.scheduler import PLACES, Scheduler
from gpt.engines.ctranslate2.states import States
from gpt.engines.ctranslate2.tokenizer import open_text_side
from gpt.engines.options import EngineOptions
from gpt.engines.prompter import Prompter, templated
from gpt.prompts import template_options
from gpt.tools.styles import dialect_of

if TYPE_CHECKING:  # imports numpy and llguidance, which most answers do without
    from gpt.engines.constraint import Constrainer, TokenMask

_TOGETHER = 3  # answers share that fraction of what one alone may hold: their growing caches leave holes in the memory
_CACHE_OVERHEAD = 1.5  # measured: CTranslate2 copies a layer's cache at each step, and malloc keeps some of the holes
_LEAST_CONTEXT = 64  # tokens
_SCORED_BYTES = 2**30  # of the logits of a text whose tokens are to be judged


class CTranslate2Engine:
    """One Hugging Face folder in memory, int8 or float32 (`options.quantization`: auto is int8 but for tiny models).

    Greedy answers are reproducible: in float32 the same alone or among others; in int8 the same alone, and among
    others as long as no two tokens are nearly as likely (activations are rounded too, so that the last bit of a sum,
    which depends on the batch's shape, may weigh).
    """

    name = "ctranslate2"

    def __init__(self, folder: Path, options: EngineOptions) -> None:
        facts = read_folder(folder)
        self.parameters = facts.parameters if facts else 0
        compute = compute_type(self.parameters, options.quantization)
        self.quantization = "int8" if compute == "int8" else "none"
        text = open_text_side(folder)
        model = converted_apart(folder, compute)
        self._text = text
        threads = options.threads or usable_cpus()
        generator = _open(model, compute, 1 if self.parameters < SMALL_PARAMETERS else threads)
        held = cache_tokens(text.cache_bytes, options)
        self.context = min(text.context, options.context or text.context, held)
        self.defaults = text.defaults
        dialect = dialect_of(text.template.source if text.template else None, text.added)
        self._prompter = Prompter(
            tokenize=text.tokenize,
            vocabulary=text.vocabulary,
            context=self.context,
            longest=text.longest,
            beginnings=text.beginnings,
            marks=text.marks,
            turns=templated(text.template, text.tokenize),
            dialect=dialect,
            token_id=text.tokenizer.token_to_id,
        )
        self._states = States(folder, compute, threads)
        self._constrainer: Constrainer | None = None
        self._constraining = threading.Lock()
        self._vocabulary = Vocabulary(
            eos_ids=text.eos_ids,
            special_ids=text.special_ids,
            decode=text.decode,
            token_bytes=self._token_bytes,
            tokenize=lambda form: text.tokenize(form, False),
        )
        self.capabilities = Capabilities(
            chat_template=text.template is not None,
            template_options=template_options(text.template.source if text.template else None),
            parameters=SAMPLING_PARAMETERS | FORMS,
            dialect=dialect,
            scores=True,
            embeds=True,
        )
        self._scheduler = Scheduler(generator, text.vocabulary, held // _TOGETHER)
        # its threads must have ended before the interpreter does, or CTranslate2's abort the process
        self._shut = weakref.finalize(self, _shut, self._scheduler, self._states, generator)

    def encode(self, text: str) -> Prompt:
        """A text to continue, begun as the tokenizer begins a text (BOS where the model has one)."""
        return self._prompter.text(text)

    def encode_ids(self, ids: Sequence[int]) -> Prompt:
        """Token ids to continue. Raises 400 when one is outside the vocabulary or there is none to start from."""
        return self._prompter.ids(ids)

    def encode_infill(self, text: str, suffix: str) -> Prompt:
        """A text to continue until `suffix`."""
        return self._prompter.infill(text, suffix)

    def encode_chat(self, messages: Sequence[Message], options: Mapping[str, Any]) -> Prompt:
        """A conversation, ready for the assistant's next turn. Raises 400 when the model's template refuses it."""
        return self._prompter.chat(messages, options)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens left out."""
        return self._text.decode(list(ids))

    def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
        """Queue a generation. Raises 400 on a constraint that cannot be compiled, 503 when the queue is full."""
        self._prompter.check(request)
        answer = CTranslate2Answer(request, self._vocabulary, self._mask(request), emit)
        self._scheduler.submit(answer)
        return answer.cancel

    def score(
        self,
        prompt: Prompt,
        top: int,
        adapter: str | None = None,  # noqa: ARG002  this engine has none
    ) -> tuple[TokenLogprob, ...]:
        """See `ReadingEngine`. The logits of the whole text are in memory at once."""
        import numpy as np

        from gpt.engines.scoring import scored

        ids, start, end = self._prompter.scored(prompt)
        most = _SCORED_BYTES // (4 * self._text.vocabulary)
        if end > most:
            raise context_exceeded(end, most, "prompt")
        generator = self._scheduler.generator
        logits = np.array(generator.forward_batch([ids[: end - 1]]), dtype=np.float32)[0] if end > 1 else []
        return scored(ids[start:end], logits[start - 1 :], top, self._text.special_ids, self._vocabulary.piece)

    def embed(self, ids: Sequence[int], adapter: str | None = None) -> list[float]:  # noqa: ARG002  it has none
        """See `ReadingEngine`. A copy of the model is opened for it, the first time."""
        self._prompter.ids(ids)
        if not 0 < len(ids) <= self.context:
            raise context_exceeded(len(ids), self.context, "input")
        return self._states.mean(ids)

    @property
    def load(self) -> tuple[int, int]:
        """How many generations are running, and how many wait."""
        return self._scheduler.load

    def close(self) -> None:
        """Free the model, and give its memory back to the machine."""
        self._shut()

    def _mask(self, request: GenerationRequest) -> TokenMask | None:
        return None if request.constraint is None else self._forms().start(request.constraint)

    def _token_bytes(self, token: int) -> bytes:
        known = token < self._text.tokenizer.get_vocab_size()  # a model's output may be padded past the tokenizer
        return self._forms().token_bytes(token) if known else b""

    def _forms(self) -> Constrainer:
        """Made when first needed: 30 to 50 MB for a vocabulary like GPT-2's."""
        from gpt.engines.constraint import Constrainer

        with self._constraining:
            if self._constrainer is None:
                self._constrainer = Constrainer(self._text.tokenizer.to_str(), sorted(self._text.eos_ids))
            return self._constrainer


def cache_tokens(token_bytes: int, options: EngineOptions) -> int:
    """Tokens that one answer may hold: what `options` or half of the free memory has room for."""
    budget = options.cache_bytes or read_resources(use_gpu=False).memory_available // 2
    return max(_LEAST_CONTEXT, budget // max(1, int(token_bytes * _CACHE_OVERHEAD)))


def _open(model: Path, compute: Compute, threads: int) -> Any:
    """The converted model in memory. Raises 422 when CTranslate2 refuses it, 507 when it does not fit."""
    try:
        return ctranslate2.Generator(
            str(model),
            device="cpu",
            compute_type="int8_float32" if compute == "int8" else "float32",
            inter_threads=PLACES,
            intra_threads=threads,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).replace(str(model), model.name)[:300]
        raise ApiError(
            422, "model_unusable", _("Ce modèle n'a pas pu être chargé : %(reason)s", reason=reason)
        ) from error


def _shut(scheduler: Scheduler, states: States, generator: Any) -> None:
    """Nothing else may hold a generator: one that is left when the interpreter ends aborts the process."""
    states.close()
    scheduler.close()
    generator.unload_model()
    give_memory_back()
