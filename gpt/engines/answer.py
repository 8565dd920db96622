"""One answer, whatever computes it: the ids so far, the text that comes of them, what is given out and how it ends.

An engine's own answers say how a token is chosen and what the model has read. Neither torch nor numpy here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpt.engines.base import Delta, Emit, FinishReason, GenerationRequest, TokenLogprob, Usage
from gpt.engines.detokenize import Detokenizer
from gpt.engines.stops import StopCutter

if TYPE_CHECKING:  # imports numpy and llguidance, which most answers do without
    from gpt.engines.constraint import TokenMask


@dataclass(frozen=True)
class Vocabulary:
    """What an answer needs of the tokenizer. `decode` leaves special tokens out; `tokenize` adds none."""

    eos_ids: frozenset[int]
    special_ids: frozenset[int]
    decode: Callable[[list[int]], str]
    token_bytes: Callable[[int], bytes]
    tokenize: Callable[[str], list[int]]

    def spell(self, word: str) -> list[list[int]]:
        """The ids of `word` as it begins a text, and as it goes on one."""
        return [ids for form in (word, f" {word.lstrip()}") if (ids := self.tokenize(form))]

    def piece(self, token: int) -> tuple[str, bytes]:
        """The text and the bytes of a token."""
        raw = self.token_bytes(token)
        return raw.decode("utf-8", errors="replace"), raw


@dataclass(frozen=True)
class Following:
    """What a model's own tools put in its mouth: `after` gives the ids that must come after a sampled one. They are
    read and emitted, and are nobody's samples. No more than `context` ids in all."""

    after: Callable[[int], list[int]]
    context: int


class Answer:
    """Fed with tokens by an engine's threads, one at a time; what comes of them goes to `emit` as deltas."""

    def __init__(
        self,
        request: GenerationRequest,
        vocabulary: Vocabulary,
        mask: TokenMask | None,
        emit: Emit,
        following: Following | None = None,
    ) -> None:
        self.request = request
        self.ids = list(request.prompt.ids)  # what the model reads and has written
        self.finished = False
        self._vocabulary = vocabulary
        self._mask = mask
        self._following = following
        self._ends = frozenset(request.stop_token_ids) | (frozenset() if request.ignore_eos else vocabulary.eos_ids)
        self._text = Detokenizer(vocabulary.decode, vocabulary.special_ids, request.prompt.context_ids, request.shown)
        self._stops = StopCutter((*request.stop, *request.prompt.stops))
        self._sampled = 0
        self._begun = False
        self._emit = emit
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Nothing more is computed; the scheduler drops the answer at its next token."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """True when nobody reads it any more."""
        return self._cancelled.is_set()

    @property
    def done(self) -> bool:
        """True when nothing more is to be computed: it ended, or nobody reads it."""
        return self.finished or self.cancelled

    @property
    def room(self) -> int:
        """Tokens that may still be sampled."""
        return self.request.max_tokens - self._sampled

    def begin(self) -> None:
        """Before the first step: nothing to sample at all, or a beginning that the constraint forces. Another time
        (it was put back to wait) is nothing to do."""
        if self._begun:
            return
        self._begun = True
        if self.request.max_tokens <= 0:
            self._end("", (), (), "length")
        elif forced := self._forced():
            self._keep(forced, ())

    def fail(self, error: Exception) -> None:
        """Hand `error` to the reader."""
        self.finished = True
        self._emit(error)

    def count(self, ids: Sequence[int]) -> None:
        """Sampled `ids`, for the engine's sampler, which weighs repetitions."""

    def go_on(self, token: int, logprobs: tuple[TokenLogprob, ...] = ()) -> list[int]:
        """Go on with a sampled `token`. Gives the ids that the imposed form forces after it, kept too."""
        if token in self._ends or (self._mask is not None and token in self._vocabulary.eos_ids):
            self._sampled += 1
            self._end("", (token,), logprobs, "stop")
            return []
        if self._mask is not None:
            self._mask.accept([token])
        forced = self._forced()
        self._keep([token, *forced], logprobs)
        return forced

    def logprob(self, token: int, value: float, best: Iterable[tuple[int, float]]) -> TokenLogprob:
        """`token` with its log-probability, and the likeliest ids with theirs."""
        return TokenLogprob(
            token, *self._vocabulary.piece(token), value, tuple((i, *self._vocabulary.piece(i), p) for i, p in best)
        )

    def _forced(self) -> list[int]:
        """The ids that can only come next, accepted."""
        if self._mask is None or self.request.logprobs is not None:  # a forced token has no logits to report
            return []
        forced = self._mask.forced()
        self._mask.accept(forced)
        return forced

    def _keep(self, ids: list[int], logprobs: tuple[TokenLogprob, ...]) -> None:
        whole = len(ids) <= self.room
        ids = ids[: self.room]
        self._sampled += len(ids)
        self.count(ids)
        full = False
        if self._following is not None:
            ids = [*ids, *(following for token in ids for following in self._following.after(token))]
            ids = ids[: self._following.context - len(self.ids)]
            full = len(self.ids) + len(ids) >= self._following.context
        self.ids.extend(ids)
        text = self._stops.push(self._text.push(ids))
        if self._stops.stopped:
            self._end(text, tuple(ids), logprobs, "stop", cut=True)
        elif whole and self._mask is not None and self._mask.finished:
            self._end(text, tuple(ids), logprobs, "stop")
        elif full or self.room <= 0:
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
