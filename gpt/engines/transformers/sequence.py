"""One generation inside the transformers engine: its ids, its sampled tokens, and what it emits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from gpt.engines.base import Delta, Emit, FinishReason, GenerationRequest, TokenLogprob, Usage
from gpt.engines.constraint import TokenMask
from gpt.engines.detokenize import Detokenizer
from gpt.engines.stops import StopCutter
from gpt.engines.transformers.sampling import Sampler


@dataclass(frozen=True)
class Vocabulary:
    """What a sequence needs of the tokenizer. `decode` leaves special tokens out; `spell` gives the ids of a word,
    as it begins a text and as it goes on one."""

    eos_ids: frozenset[int]
    special_ids: frozenset[int]
    decode: Callable[[list[int]], str]
    token_bytes: Callable[[int], bytes]
    spell: Callable[[str], list[list[int]]]


@dataclass(frozen=True)
class Following:
    """What a model's own tools put in its mouth: `after` gives the ids that must come after a sampled one. They are
    read and emitted, and are nobody's samples. No more than `context` ids in all."""

    after: Callable[[int], list[int]]
    context: int


class Sequence:
    """Fed by the scheduler's thread with tokens; what comes of them goes to `emit` as deltas."""

    def __init__(
        self,
        request: GenerationRequest,
        vocabulary: Vocabulary,
        mask: TokenMask | None,
        emit: Emit,
        following: Following | None = None,
    ) -> None:
        self.request = request
        self.row: Any = None  # the runner's, while it runs
        self.ids = list(request.prompt.ids)  # read or to be read
        self.read = 0  # how many of them the row holds
        self.finished = False
        self._vocabulary = vocabulary
        self._mask = mask
        self._following = following
        self._ends = frozenset(request.stop_token_ids) | (frozenset() if request.ignore_eos else vocabulary.eos_ids)
        bad_words = [ids for word in request.bad_words for ids in vocabulary.spell(word)]
        self.sampler = Sampler(request, mask, self._ends, bad_words)
        self._text = Detokenizer(vocabulary.decode, vocabulary.special_ids, request.prompt.context_ids)
        self._stops = StopCutter((*request.stop, *request.prompt.stops))
        self._sampled = 0
        self._begun = False
        self._emit = emit
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Nothing more is computed; the scheduler drops the sequence at its next step."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def pending(self) -> int:
        """How many ids are still to be read before the next token can be sampled."""
        return len(self.ids) - self.read

    def next_ids(self, limit: int) -> list[int]:
        """The ids to read next; with images, the whole prompt at once."""
        if self.images:
            return self.ids[: len(self.request.prompt.ids)]
        return self.ids[self.read : self.read + limit]

    @property
    def images(self) -> tuple[bytes, ...]:
        """The prompt's images, as long as nothing has been read."""
        return self.request.prompt.images if self.read == 0 else ()

    def begin(self) -> None:
        """Before the first step: nothing to sample at all, or a beginning that the constraint forces."""
        if self._begun:  # it was put back for want of room
            return
        self._begun = True
        if self.request.max_tokens <= 0:
            self._end("", (), (), "length")
        elif self._mask is not None and self.request.logprobs is None:  # a forced token has no logits to report
            forced = self._mask.forced()
            if forced:
                self._mask.accept(forced)
                self._take(forced, ())

    def accept(self, token: int, logits: torch.Tensor) -> None:
        """Go on with a sampled token. `logits` is the shaped row it was drawn from."""
        logprobs = (self._logprob(logits, token),) if self.request.logprobs is not None else ()
        if token in self._ends or (self._mask is not None and token in self._vocabulary.eos_ids):
            self._sampled += 1
            self._end("", (token,), logprobs, "stop")
            return
        ids = [token]
        if self._mask is not None:
            self._mask.accept(ids)
            if self.request.logprobs is None:
                ids += self._mask.forced()
                self._mask.accept(ids[1:])
        self._take(ids, logprobs)

    def fail(self, error: Exception) -> None:
        """Hand `error` to the reader."""
        self.finished = True
        self._emit(error)

    def _take(self, ids: list[int], logprobs: tuple[TokenLogprob, ...]) -> None:
        room = self.request.max_tokens - self._sampled
        whole = len(ids) <= room
        ids = ids[:room]
        self._sampled += len(ids)
        self.sampler.count(ids)
        full = False
        if self._following is not None:
            ids += [following for token in ids for following in self._following.after(token)]
            ids = ids[: self._following.context - len(self.ids)]
            full = len(self.ids) + len(ids) >= self._following.context
        self.ids.extend(ids)
        text = self._stops.push(self._text.push(ids))
        if self._stops.stopped:
            self._end(text, tuple(ids), logprobs, "stop", cut=True)
        elif whole and self._mask is not None and self._mask.finished:
            self._end(text, tuple(ids), logprobs, "stop")
        elif full or self._sampled >= self.request.max_tokens:
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
        self._emit(self._last(text, ids, logprobs, reason))

    def _last(self, text: str, ids: tuple[int, ...], logprobs: tuple[TokenLogprob, ...], reason: FinishReason) -> Delta:
        usage = Usage(len(self.request.prompt.ids), self._sampled)
        return Delta(text, ids, logprobs, reason, usage)

    def _logprob(self, logits: torch.Tensor, token: int) -> TokenLogprob:
        values = torch.log_softmax(logits, dim=-1)
        best = torch.topk(values, min(self.request.logprobs or 0, values.shape[0]))
        top = tuple(
            (int(i), *self._piece(int(i)), float(v))
            for i, v in zip(best.indices, best.values, strict=True)
            if v != float("-inf")
        )
        return TokenLogprob(token, *self._piece(token), float(values[token]), top)

    def _piece(self, token: int) -> tuple[str, bytes]:
        raw = self._vocabulary.token_bytes(token)
        return raw.decode("utf-8", errors="replace"), raw
