"""One answer of the ctranslate2 engine: its tokens come from CTranslate2, or are chosen here from the logits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpt.engines.answer import Answer, Vocabulary
from gpt.engines.base import Emit, GenerationRequest

if TYPE_CHECKING:  # numpy takes 14 MB, which most answers do without
    from gpt.engines.constraint import TokenMask
    from gpt.engines.ctranslate2.sampling import Logits, Sampler


class CTranslate2Answer(Answer):
    """Fed with tokens (`go_on`) or with logits (`feed`) by the scheduler's threads, one at a time."""

    def __init__(self, request: GenerationRequest, vocabulary: Vocabulary, mask: TokenMask | None, emit: Emit) -> None:
        super().__init__(request, vocabulary, mask, emit)
        self.started = False  # it has been in a batch
        self.came = time.monotonic()
        self.forced: deque[int] = deque()  # ids already given out, that the model's own generation may yet follow
        self._sampler = self._own_sampler() if self.draws_itself else None

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
            or (request.seed is not None and not request.greedy)
        )

    def _own_sampler(self) -> Sampler:
        from gpt.engines.ctranslate2.sampling import Sampler

        words = [ids for word in self.request.bad_words for ids in self._vocabulary.spell(word)]
        return Sampler(self.request, self._mask, self._ends | self._vocabulary.eos_ids, words)

    def feed(self, logits: Logits, proposed: int) -> int:
        """Choose the next token from the logits after the last id, beside what CTranslate2 proposes; gives it. What
        it forces after it is kept too, and left in `forced`."""
        if self._sampler is None:
            raise RuntimeError("an answer that CTranslate2 samples was given logits")
        token, shaped = self._sampler.choose(logits, proposed)
        if self.request.logprobs is None:
            self.forced.extend(self.go_on(token))
        else:
            self.go_on(token, (self.logprob(token, *self._sampler.log_probabilities(shaped, token)),))
        return token

    def count(self, ids: Sequence[int]) -> None:
        if self._sampler is not None:
            self._sampler.count(ids)
