"""From logits to the next token: mask, bias, penalties, temperature, top-p, and log-probabilities when asked."""

from __future__ import annotations

import os
from collections import Counter

import torch

from gpt.engines.base import GenerationRequest
from gpt.engines.constraint import TokenMask


class Sampler:
    """Draws the tokens of one request. The same seed, request and model give the same tokens."""

    def __init__(self, request: GenerationRequest, mask: TokenMask | None) -> None:
        self._request = request
        self._mask = mask
        self._counts: Counter[int] = Counter()
        self._generator = torch.Generator()
        seed = request.seed if request.seed is not None else int.from_bytes(os.urandom(8), "little")
        self._generator.manual_seed(seed % 2**63)

    def count(self, ids: list[int]) -> None:
        """Remember sampled `ids` for the penalties."""
        self._counts.update(ids)

    def shape(self, logits: torch.Tensor) -> torch.Tensor:
        """float32 logits on the CPU, with what the request imposes on them (not yet the temperature)."""
        logits = logits.float().cpu()
        request = self._request
        if request.logit_bias or ((request.presence_penalty or request.frequency_penalty) and self._counts):
            logits = logits.clone()
            for token, bias in request.logit_bias.items():
                logits[token] += bias
            for token, times in self._counts.items():
                logits[token] -= request.presence_penalty + times * request.frequency_penalty
        if self._mask is not None:
            allowed = torch.zeros(logits.shape[0], dtype=torch.bool)
            flags = torch.from_numpy(self._mask.allowed())
            size = min(flags.shape[0], logits.shape[0])  # a model's output may be padded past the tokenizer
            allowed[:size] = flags[:size]
            logits = logits.masked_fill(~allowed, float("-inf"))
        return logits

    def draw(self, logits: torch.Tensor) -> int:
        """The next token from shaped `logits`."""
        if self._request.temperature < 1e-5:
            return int(logits.argmax())
        logits = logits / self._request.temperature
        if 0 < self._request.top_k < logits.shape[0]:
            logits = logits.masked_fill(logits < torch.topk(logits, self._request.top_k).values[-1], float("-inf"))
        probabilities = torch.softmax(logits, dim=-1)
        if self._request.top_p < 1.0:
            ordered, order = probabilities.sort(descending=True, stable=True)
            # keep the smallest set whose mass reaches top_p: drop a token when those before it already do
            beyond = ordered.cumsum(0) - ordered >= self._request.top_p
            beyond[0] = False
            probabilities[order[beyond]] = 0.0
        return int(torch.multinomial(probabilities, 1, generator=self._generator))
