"""One answer of the transformers engine: what of it the model has read, and its tokens, drawn from the logits."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import Any

import torch

from gpt.engines.answer import Answer, Following, Vocabulary
from gpt.engines.base import Emit, GenerationRequest
from gpt.engines.constraint import TokenMask
from gpt.engines.transformers.sampling import Sampler, log_probabilities


class Sequence(Answer):
    """Fed with tokens by the scheduler's thread."""

    def __init__(
        self,
        request: GenerationRequest,
        vocabulary: Vocabulary,
        mask: TokenMask | None,
        emit: Emit,
        following: Following | None = None,
    ) -> None:
        super().__init__(request, vocabulary, mask, emit, following)
        self.row: Any = None  # the runner's, while it runs
        self.read = 0  # how many of its ids the row holds
        bad_words = [ids for word in request.bad_words for ids in vocabulary.spell(word)]
        self.sampler = Sampler(request, mask, self._ends, bad_words)

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

    def accept(self, token: int, logits: torch.Tensor) -> None:
        """Go on with a sampled token. `logits` is the shaped row it was drawn from."""
        count = self.request.logprobs
        if count is None:
            self.go_on(token)
        else:
            self.go_on(token, (self.logprob(token, *log_probabilities(logits, token, count)),))

    def count(self, ids: Seq[int]) -> None:
        self.sampler.count(ids)
