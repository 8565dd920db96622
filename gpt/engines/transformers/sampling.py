"""From logits to the next tokens of a batch: bias, penalties, bans and masks row by row, then the draw for all at once.

Order, as in vLLM: bias → repetition, presence and frequency penalties → bans and the imposed form → (log-probabilities
are read here) → temperature → min_p → top_k → top_p → draw. A row's token depends on its logits, its request and its
own random numbers only, never on the rows beside it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Sequence

import torch

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import GenerationRequest
from gpt.engines.constraint import TokenMask

_LIKELY = 256  # a small top_p is looked for among so many first, the whole vocabulary after
_WIDE = 0.2  # from this top_p on, drawing until a token falls inside is quicker than sorting
_NUCLEUS = -1
_NEVER = float("-inf")


class Sampler:
    """What one request makes of its logits. `ends` are the ids that end the answer, `bad_words` sequences of ids that
    may not be completed."""

    def __init__(
        self,
        request: GenerationRequest,
        mask: TokenMask | None,
        ends: Collection[int] = (),
        bad_words: Sequence[Sequence[int]] = (),
    ) -> None:
        self.request = request
        self._mask = mask
        self._ends = torch.tensor(sorted(ends), dtype=torch.long)
        self._bias_ids = torch.tensor(list(request.logit_bias), dtype=torch.long)
        self._bias = torch.tensor(list(request.logit_bias.values()), dtype=torch.float32)
        self._bad_ids = torch.tensor(sorted({word[0] for word in bad_words if len(word) == 1}), dtype=torch.long)
        self._bad_words = [tuple(word) for word in bad_words if len(word) > 1]
        self._counts: torch.Tensor | None = None  # of sampled tokens, by id
        self._seen: torch.Tensor | None = None  # read or sampled, by id
        self._sampled: list[int] = []
        self._random = random.Random(request.seed)
        self.temperature = 0.0 if request.greedy else request.temperature

    def count(self, ids: Sequence[int]) -> None:
        """Remember sampled `ids`."""
        self._sampled.extend(ids)
        for marks in (self._counts, self._seen):
            if marks is not None:
                marks.index_add_(0, torch.tensor(list(ids), device=marks.device), torch.ones(len(ids)).to(marks))

    def shape(self, logits: torch.Tensor) -> None:
        """Change one row of float32 logits, in place, as the request asks. Raises 400 when that leaves no token."""
        request = self.request
        if len(self._bias_ids):
            logits.index_add_(0, self._bias_ids.to(logits.device), self._bias.to(logits.device))
        if request.repetition_penalty != 1.0:
            seen = self._marks_seen(logits) > 0
            factor = torch.where(logits > 0, 1.0 / request.repetition_penalty, request.repetition_penalty)
            logits.mul_(torch.where(seen, factor, 1.0))
        if request.presence_penalty or request.frequency_penalty:
            counts = self._marks_counts(logits)
            logits.sub_(counts.clamp(max=1.0), alpha=request.presence_penalty)
            logits.sub_(counts, alpha=request.frequency_penalty)
        banned = self._ban(logits)
        if self._mask is not None:
            allowed = torch.from_numpy(self._mask.allowed()).to(logits.device)
            size = min(allowed.shape[0], logits.shape[0])  # a model's output may be padded past the tokenizer
            logits[:size].masked_fill_(~allowed[:size], _NEVER)
            logits[size:] = _NEVER
        if (banned or self._mask is not None) and not float(logits.max()) > _NEVER:
            raise ApiError(400, "invalid_value", _("Les contraintes de la demande n'autorisent plus aucun token."))

    def uniform(self) -> float:
        """The request's next random number in [0, 1)."""
        return self._random.random()

    def _ban(self, logits: torch.Tensor) -> bool:
        banned = len(self._bad_ids) > 0
        if banned:
            logits[self._bad_ids.to(logits.device)] = _NEVER
        for word in self._bad_words:
            if tuple(self._sampled[len(self._sampled) - len(word) + 1 :]) == word[:-1]:
                logits[word[-1]] = _NEVER
                banned = True
        if len(self._sampled) < self.request.min_tokens and len(self._ends) and self._mask is None:
            logits[self._ends.to(logits.device)] = _NEVER
            banned = True
        return banned

    def _marks_seen(self, logits: torch.Tensor) -> torch.Tensor:
        if self._seen is None:
            self._seen = torch.zeros_like(logits)
            self._seen[torch.tensor(self.request.prompt.ids + self._sampled, device=logits.device)] = 1.0
        return self._seen

    def _marks_counts(self, logits: torch.Tensor) -> torch.Tensor:
        if self._counts is None:
            self._counts = torch.zeros_like(logits)
            sampled = torch.tensor(self._sampled, dtype=torch.long, device=logits.device)
            self._counts.index_add_(0, sampled, torch.ones(len(sampled)).to(logits))
        return self._counts


def log_probabilities(logits: torch.Tensor, token: int, count: int) -> tuple[float, list[tuple[int, float]]]:
    """The natural-log probability of `token` under a row of shaped `logits`, and the likeliest ids with theirs."""
    values = torch.log_softmax(logits, dim=-1)
    best = torch.topk(values, min(count, values.shape[0]))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return float(values[token]), [(i, value) for i, value in pairs if value != _NEVER]


def draw(samplers: Sequence[Sampler], logits: torch.Tensor) -> list[int]:
    """The next token of each row of shaped logits [rows, vocabulary]."""
    tokens: list[int] = [0] * len(samplers)
    groups: dict[int, list[int]] = {}  # rows by how many candidates are looked at, so that nobody's width is another's
    for row, sampler in enumerate(samplers):
        groups.setdefault(_candidates(sampler, logits.shape[1]), []).append(row)
    for size, rows in groups.items():
        part = logits if len(rows) == len(samplers) else logits[torch.tensor(rows, device=logits.device)]
        members = [samplers[row] for row in rows]
        if size == 0:
            found = part.argmax(dim=-1).tolist()
        elif size == _NUCLEUS:
            found = _draw_nucleus(members, part)
        elif size == logits.shape[1]:
            found = _draw_whole(members, part)
        else:
            found = _draw_likely(members, part, size)
        for row, token in zip(rows, found, strict=True):
            tokens[row] = token
    return tokens


def _candidates(sampler: Sampler, vocabulary: int) -> int:
    """How many of the likeliest tokens to look at: 0 for greedy, all of them when nothing cuts the tail, `_NUCLEUS`
    when a token can be tried by itself."""
    request = sampler.request
    if not sampler.temperature:
        return 0
    if 0 < request.top_k < vocabulary:
        return min(vocabulary, max(_LIKELY, 1 << (request.top_k - 1).bit_length()))
    if request.top_p >= 1.0:
        return vocabulary
    return _NUCLEUS if request.top_p >= _WIDE else min(_LIKELY, vocabulary)


def _column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32, device=like.device)[:, None]


def _scaled(samplers: Sequence[Sampler], logits: torch.Tensor) -> torch.Tensor:
    """Logits after temperature and min_p."""
    scaled = logits / _column([s.temperature for s in samplers], logits)
    if any(s.request.min_p > 0 for s in samplers):
        least = _column([math.log(s.request.min_p) if s.request.min_p > 0 else _NEVER for s in samplers], logits)
        scaled.masked_fill_(scaled < scaled.max(dim=-1, keepdim=True).values + least, _NEVER)
    return scaled


def _draw_nucleus(samplers: Sequence[Sampler], logits: torch.Tensor) -> list[int]:
    """Draw from everything until the token is one that top_p keeps: those likelier do not reach its mass. The same
    distribution as after sorting and cutting, without sorting."""
    weights = torch.softmax(_scaled(samplers, logits), dim=-1)
    sums = weights.cumsum(dim=-1, dtype=torch.float64)
    found = [0] * len(samplers)
    rows = list(range(len(samplers)))
    while rows:
        whole = len(rows) == len(samplers)
        members = torch.tensor(rows, device=logits.device)
        own = weights if whole else weights[members]
        tokens = _pick([samplers[row] for row in rows], own, sums if whole else sums[members])
        mine = own.gather(1, torch.tensor(tokens, device=own.device)[:, None])
        above = torch.where(own > mine, own, 0.0).sum(dim=-1).tolist()
        left = []
        for row, token, mass in zip(rows, tokens, above, strict=True):
            found[row] = token
            if mass >= samplers[row].request.top_p:
                left.append(row)
        rows = left
    return found


def _pick(samplers: Sequence[Sampler], weights: torch.Tensor, sums: torch.Tensor | None = None) -> list[int]:
    """The column of each row where the running sum of its weights passes its random number."""
    if sums is None:
        sums = weights.cumsum(dim=-1, dtype=torch.float64)
    marks = torch.tensor([s.uniform() for s in samplers], dtype=torch.float64, device=sums.device) * sums[:, -1]
    found = torch.searchsorted(sums, marks[:, None], right=True)[:, 0]
    # rounding may leave the mark at the very end, where the weights are zero: the last that is not
    last = weights.shape[1] - 1 - (weights.flip(-1) > 0).to(torch.uint8).argmax(dim=-1)
    return torch.minimum(found, last).tolist()


def _draw_whole(samplers: Sequence[Sampler], logits: torch.Tensor) -> list[int]:
    scaled = _scaled(samplers, logits)
    cut = [row for row, s in enumerate(samplers) if s.request.top_k or s.request.top_p < 1.0]
    if not cut:
        return _pick(samplers, torch.softmax(scaled, dim=-1))
    ordered, ids = scaled.sort(dim=-1, descending=True, stable=True)
    columns = _pick(samplers, _kept(samplers, torch.softmax(ordered, dim=-1)))
    return [int(ids[row, column]) for row, column in enumerate(columns)]


def _draw_likely(samplers: Sequence[Sampler], logits: torch.Tensor, size: int) -> list[int]:
    scaled = _scaled(samplers, logits)
    best, ids = scaled.topk(size, dim=-1)
    weights = torch.exp(best - torch.logsumexp(scaled, dim=-1, keepdim=True))
    mass = weights.sum(dim=-1).tolist()
    short = [
        row
        for row, sampler in enumerate(samplers)
        if not 0 < sampler.request.top_k <= size and mass[row] < sampler.request.top_p
    ]
    if short:  # the nucleus goes on past the candidates: those rows look at everything
        again = _draw_whole([samplers[row] for row in short], logits[torch.tensor(short, device=logits.device)])
        rest = [row for row in range(len(samplers)) if row not in set(short)]
        found = dict(zip(short, again, strict=True))
        if rest:
            keep = torch.tensor(rest, device=logits.device)
            found |= zip(rest, _draw_likely([samplers[row] for row in rest], logits[keep], size), strict=True)
        return [found[row] for row in range(len(samplers))]
    columns = _pick(samplers, _kept(samplers, weights))
    return [int(ids[row, column]) for row, column in enumerate(columns)]


def _kept(samplers: Sequence[Sampler], weights: torch.Tensor) -> torch.Tensor:
    """Weights in falling order, those that top_k and top_p drop made zero."""
    ks = [s.request.top_k if s.request.top_k > 0 else weights.shape[1] for s in samplers]
    if min(ks) < weights.shape[1]:
        ranks = torch.arange(weights.shape[1], device=weights.device)
        weights = torch.where(ranks >= torch.tensor(ks, device=weights.device)[:, None], 0.0, weights)
        # top_p counts among what top_k left; without top_k, among everything
        totals = torch.where(_column(ks, weights) < weights.shape[1], weights.sum(dim=-1, keepdim=True), 1.0)
        weights = weights / totals
    # the smallest set whose mass reaches top_p: a token goes when those before it already do
    tops = _column([s.request.top_p for s in samplers], weights)
    beyond = (weights.cumsum(dim=-1) - weights >= tops) & (tops < 1.0)
    beyond[:, 0] = False
    return weights.masked_fill(beyond, 0.0)
