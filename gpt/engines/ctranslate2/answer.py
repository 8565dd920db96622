"""One generation inside the ctranslate2 engine: the ids so far, the text that comes of them, and how it ends."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpt.engines.base import Delta, Emit, FinishReason, GenerationRequest, TokenLogprob, Usage
from gpt.engines.detokenize import Detokenizer
from gpt.engines.stops import StopCutter

if TYPE_CHECKING:  # numpy takes 14 MB, which most answers do without
    from gpt.engines.constraint import TokenMask
    from gpt.engines.ctranslate2.sampling import Logits, Sampler

_GREEDY = 1e-5  # a temperature below is greedy


@dataclass(frozen=True)
class Vocabulary:
    """What an answer needs of the tokenizer. `decode` leaves special tokens out."""

    eos_ids: frozenset[int]
    special_ids: frozenset[int]
    decode: Callable[[list[int]], str]
    token_bytes: Callable[[int], bytes]
    words: Callable[[str], list[list[int]]]  # the ways a word may be written in tokens


def is_greedy(request: GenerationRequest) -> bool:
    """True when the likeliest token is always taken."""
    return request.temperature < _GREEDY or request.top_k == 1


class Answer:
    """Fed with tokens (`take`) or with logits (`feed`) by the scheduler's threads, one at a time."""

    def __init__(self, request: GenerationRequest, vocabulary: Vocabulary, mask: TokenMask | None, emit: Emit) -> None:
        self.request = request
        self.ids = list(request.prompt.ids)  # what the model has read and written
        self.finished = False
        self.started = False  # it has been in a batch
        self.came = time.monotonic()
        self.forced: deque[int] = deque()  # ids already given out, that the model's own generation may yet follow
        self._vocabulary = vocabulary
        self._mask = mask
        self._ends = frozenset(request.stop_token_ids) | (frozenset() if request.ignore_eos else vocabulary.eos_ids)
        self._sampler = self._own_sampler() if self.draws_itself else None
        self._text = Detokenizer(vocabulary.decode, vocabulary.special_ids, request.prompt.context_ids)
        self._stops = StopCutter((*request.stop, *request.prompt.stops))
        self._sampled = 0
        self._emit = emit
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Nothing more is computed; the scheduler drops the answer at its next token."""
        self._cancelled.set()

    @property
    def done(self) -> bool:
        """True when nothing more is to be computed: it ended, or nobody reads it."""
        return self.finished or self._cancelled.is_set()

    @property
    def room(self) -> int:
        """Tokens that may still be sampled."""
        return self.request.max_tokens - self._sampled

    @property
    def draws_itself(self) -> bool:
        """True when the tokens must be chosen here, from the logits; else CTranslate2 samples them well."""
        request = self.request
        return (
            self._mask is not None
            or request.logprobs is not None
            or bool(request.logit_bias or request.bad_words)
            or any((request.presence_penalty, request.frequency_penalty, request.min_p, request.min_tokens))
            or request.repetition_penalty != 1.0
            or (request.seed is not None and not is_greedy(request))
        )

    def _own_sampler(self) -> Sampler:
        from gpt.engines.ctranslate2.sampling import Sampler

        words = [ids for word in self.request.bad_words for ids in self._vocabulary.words(word)]
        return Sampler(self.request, self._mask, self._ends | self._vocabulary.eos_ids, words)

    def begin(self) -> None:
        """Before the first step: nothing to sample at all, or a beginning that the constraint forces."""
        if self.request.max_tokens <= 0:
            self._end("", (), (), "length")
        elif self._mask is not None and self.request.logprobs is None:  # a forced token has no logits to report
            forced = self._mask.forced()
            if forced:
                self._mask.accept(forced)
                self._keep(forced, ())

    def take(self, token: int) -> None:
        """A token that CTranslate2 sampled."""
        if token in self._ends:
            self._sampled += 1
            self._end("", (token,), (), "stop")
        else:
            self._keep([token], ())

    def feed(self, logits: Logits, proposed: int) -> int:
        """Choose the next token from the logits after the last id, beside what CTranslate2 proposes; gives it. What
        it forces after it is kept too, and left in `forced`."""
        if self._sampler is None:
            raise RuntimeError("an answer that CTranslate2 samples was given logits")
        token, shaped = self._sampler.choose(logits, proposed)
        logprobs = (self._logprob(self._sampler, shaped, token),) if self.request.logprobs is not None else ()
        if token in self._ends:
            self._sampled += 1
            self._end("", (token,), logprobs, "stop")
            return token
        ids = [token]
        if self._mask is not None:
            self._mask.accept(ids)
            if self.request.logprobs is None:
                ids += self._mask.forced()
                self._mask.accept(ids[1:])
                self.forced.extend(ids[1:])
        self._keep(ids, logprobs)
        return token

    def fail(self, error: Exception) -> None:
        """Hand `error` to the reader."""
        self.finished = True
        self._emit(error)

    def _keep(self, ids: list[int], logprobs: tuple[TokenLogprob, ...]) -> None:
        whole = len(ids) <= self.room
        ids = ids[: self.room]
        self._sampled += len(ids)
        if self._sampler is not None:
            self._sampler.count(ids)
        self.ids.extend(ids)
        text = self._stops.push(self._text.push(ids))
        if self._stops.stopped:
            self._end(text, tuple(ids), logprobs, "stop", cut=True)
        elif whole and self._mask is not None and self._mask.finished:
            self._end(text, tuple(ids), logprobs, "stop")
        elif self.room <= 0:
            self._end(text, tuple(ids), logprobs, "length")
        else:
            self._emit(Delta(text, tuple(ids), logprobs))

    def _end(
        self,
        text: str,
        ids: tuple[int, ...],
        logprobs: tuple[TokenLogprob, ...],
        reason: FinishReason,
        *,
        cut: bool = False,
    ) -> None:
        self.finished = True
        if not cut:
            text += self._stops.push(self._text.flush())
            if self._stops.stopped:
                reason = "stop"
            text += self._stops.flush()
        usage = Usage(len(self.request.prompt.ids), self._sampled)
        self._emit(Delta(text, ids, logprobs, reason, usage))

    def _logprob(self, sampler: Sampler, logits: Logits, token: int) -> TokenLogprob:
        value, best = sampler.log_probabilities(logits, token)
        return TokenLogprob(token, *self._piece(token), value, tuple((i, *self._piece(i), p) for i, p in best))

    def _piece(self, token: int) -> tuple[str, bytes]:
        raw = self._vocabulary.token_bytes(token)
        return raw.decode("utf-8", errors="replace"), raw
