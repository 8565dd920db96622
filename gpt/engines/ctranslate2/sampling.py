"""From logits to the next token with numpy: what the request imposes, then the draw. The same rules as the
transformers engine's, in the same order: bias, penalties, bans, the imposed form (log-probabilities are read here),
temperature, min_p, top_k, top_p."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import GenerationRequest
from gpt.engines.constraint import TokenMask

Logits = NDArray[np.float32]


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
        """`logits` with what the request imposes on them (not yet the temperature). Changes its argument.

        Raises 400 when that leaves no token.
        """
        request = self._request
        for token, bias in request.logit_bias.items():
            logits[token] += bias
        if request.repetition_penalty != 1.0:
            seen = np.fromiter(self._read.union(self._counts), dtype=np.int64)
            values, penalty = logits[seen], np.float32(request.repetition_penalty)
            logits[seen] = np.where(values > 0, values / penalty, values * penalty)
        if request.presence_penalty or request.frequency_penalty:
            for token, times in self._counts.items():
                logits[token] -= request.presence_penalty + times * request.frequency_penalty
        self._ban(logits)
        if self._mask is not None:
            flags = self._mask.allowed()
            size = min(flags.shape[0], logits.shape[0])  # a model's output may be padded past the tokenizer
            logits[:size][~flags[:size]] = -np.inf
            logits[size:] = -np.inf
        if not float(logits.max()) > -np.inf:
            raise ApiError(400, "invalid_value", _("Les contraintes de la demande n'autorisent plus aucun token."))
        return logits

    def _ban(self, logits: Logits) -> None:
        for word in self._bad_words:
            if len(word) == 1 or self._said[len(self._said) - len(word) + 1 :] == word[:-1]:
                logits[word[-1]] = -np.inf
        if len(self._said) < self._request.min_tokens and self._mask is None:
            logits[self._ends] = -np.inf

    def choose(self, logits: Logits, proposed: int) -> tuple[int, Logits]:
        """The next token, from the model's `logits`, and the shaped logits it was drawn from.

        `proposed` is what CTranslate2 sampled from the same logits without what the request imposes. When no seed
        asks for reproducible draws it is kept as often as can be: with probability min(1, p/q), p and q being what it
        has with and without; else the token is drawn from max(0, p - q). The result is distributed exactly as p
        (speculative sampling, https://arxiv.org/abs/2211.17192).
        """
        request = self._request
        if request.greedy:
            shaped = self.shape(logits)
            return int(shaped.argmax()), shaped
        if request.seed is not None:
            shaped = self.shape(logits)
            return self._pick(self._distribution(shaped, request.min_p)), shaped
        before = self._distribution(logits, 0.0)
        shaped = self.shape(logits)
        after = self._distribution(shaped, request.min_p)
        if self._random.random() * before[proposed] <= after[proposed]:
            return proposed, shaped
        left = np.maximum(after - before, 0.0)
        return self._pick(left if left.sum() > 0 else after), shaped

    def _pick(self, odds: NDArray[np.float64]) -> int:
        steps = np.cumsum(odds)
        return int(min(np.searchsorted(steps, self._random.random() * steps[-1], side="right"), odds.size - 1))

    def _distribution(self, logits: Logits, min_p: float) -> NDArray[np.float64]:
        """Probabilities after temperature, min_p, top_k and top_p."""
        request = self._request
        scaled = logits.astype(np.float64) / request.temperature
        odds: NDArray[np.float64] = np.exp(scaled - scaled.max())
        if min_p > 0:
            odds[odds < min_p] = 0.0  # the likeliest has odds 1
        if 0 < request.top_k < odds.shape[0]:
            odds[odds < np.partition(odds, -request.top_k)[-request.top_k]] = 0.0
        odds /= odds.sum()
        if request.top_p < 1.0:
            order = np.argsort(-odds, kind="stable")
            mass = np.cumsum(odds[order])
            # keep the smallest set whose mass reaches top_p: drop a token when those before it already do
            beyond = mass - odds[order] >= request.top_p
            beyond[0] = False
            odds[order[beyond]] = 0.0
            odds /= odds.sum()
        return odds

    def log_probabilities(self, logits: Logits, token: int) -> tuple[float, list[tuple[int, float]]]:
        """The natural-log probability of `token` under shaped `logits`, and the likeliest ids with theirs."""
        shifted = logits.astype(np.float64) - float(logits.max())
        values = shifted - np.log(np.exp(shifted).sum())
        best = np.argsort(-values, kind="stable")[: self._request.logprobs or 0]
        return float(values[token]), [(int(i), float(values[i])) for i in best if values[i] != -np.inf]
