"""From logits to the next token with numpy: what the request imposes, then the draw. The same rules as the
transformers engine's, so that the same request means the same distribution."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpt.engines.base import GenerationRequest
from gpt.engines.constraint import TokenMask

Logits = NDArray[np.float32]
_GREEDY = 1e-5  # a temperature below is greedy


def is_greedy(request: GenerationRequest) -> bool:
    """True when the likeliest token is always taken."""
    return request.temperature < _GREEDY or request.top_k == 1


class Sampler:
    """Draws the tokens of one request. The same seed, request and model give the same tokens.

    `ends` are the ids that may not come before `min_tokens`; `bad_words` are banned sequences of ids.
    """

    def __init__(
        self,
        request: GenerationRequest,
        mask: TokenMask | None,
        ends: frozenset[int],
        bad_words: Sequence[Sequence[int]] = (),
    ) -> None:
        self._request = request
        self._mask = mask
        self._ends = [*ends]
        self._bad_words = [list(word) for word in bad_words]
        self._counts: Counter[int] = Counter()
        self._read = set(request.prompt.ids)
        self._said: list[int] = []
        seed = request.seed if request.seed is not None else int.from_bytes(os.urandom(8), "little")
        self._random = np.random.Generator(np.random.PCG64(seed % 2**63))

    def count(self, ids: Sequence[int]) -> None:
        """Remember sampled `ids` for the penalties."""
        self._counts.update(ids)
        self._said.extend(ids)

    def shape(self, logits: Logits) -> Logits:
        """`logits` with what the request imposes on them (not yet the temperature). Changes its argument."""
        request = self._request
        if request.repetition_penalty != 1.0:
            seen = np.fromiter(self._read.union(self._counts), dtype=np.int64)
            values = logits[seen]
            penalty = np.float32(request.repetition_penalty)
            logits[seen] = np.where(values > 0, values / penalty, values * penalty)
        if request.presence_penalty or request.frequency_penalty:
            for token, times in self._counts.items():
                logits[token] -= request.presence_penalty + times * request.frequency_penalty
        for token, bias in request.logit_bias.items():
            logits[token] += bias
        if len(self._said) < request.min_tokens:
            logits[self._ends] = -np.inf
        for word in self._bad_words:
            if self._said[len(self._said) - len(word) + 1 :] == word[:-1] or len(word) == 1:
                logits[word[-1]] = -np.inf
        if self._mask is not None:
            flags = self._mask.allowed()
            size = min(flags.shape[0], logits.shape[0])  # a model's output may be padded past the tokenizer
            logits[:size][~flags[:size]] = -np.inf
            logits[size:] = -np.inf
        return logits

    def draw(self, logits: Logits) -> int:
        """The next token from shaped `logits`."""
        request = self._request
        if is_greedy(request):
            return int(logits.argmax())
        scaled = logits.astype(np.float64) / request.temperature
        if 0 < request.top_k < scaled.shape[0]:
            least = np.partition(scaled, -request.top_k)[-request.top_k]
            scaled[scaled < least] = -np.inf
        odds = np.exp(scaled - scaled.max())
        if request.min_p > 0:
            odds[odds < request.min_p] = 0.0  # the likeliest has odds 1
        odds /= odds.sum()
        if request.top_p < 1.0:
            order = np.argsort(-odds, kind="stable")
            mass = np.cumsum(odds[order])
            # keep the smallest set whose mass reaches top_p: drop a token when those before it already do
            beyond = mass - odds[order] >= request.top_p
            beyond[0] = False
            odds[order[beyond]] = 0.0
        steps = np.cumsum(odds)
        return int(min(np.searchsorted(steps, self._random.random() * steps[-1], side="right"), odds.size - 1))


def log_probabilities(logits: Logits) -> NDArray[np.float64]:
    """Natural-log probabilities of shaped `logits`."""
    shifted = logits.astype(np.float64) - float(logits.max())
    values: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return values
