"""Writing token by token with an attention decoder (Canary's, Whisper's), a batch at a time, within bounds.

Every row has its own limit and stops by itself when it repeats itself: such models fall into loops on noise, and a
loop would cost the whole window and fill the transcript.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

_LONGEST_LOOP = 24  # tokens of a phrase that comes again and again
_LEAST_LOOPED = 12  # tokens that a loop must fill to be one: "non, non, non" is speech
_LEAST_TIMES = 4
_LEAST_OF_ONE = 10  # a single token may come often: the zeros of a number


@dataclass
class Written:
    """What one row wrote after its prompt: token ids without the end token, and the probability of each."""

    ids: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Rules:
    """`limits`: the most tokens of each row; `never`: ids that are not written, `not_first` nor as the first one."""

    end: int
    limits: Sequence[int]
    temperature: float = 0.0
    never: Sequence[int] = ()
    not_first: Sequence[int] = ()


@dataclass(frozen=True)
class Encoded:
    """The sound as the decoder reads it: (rows, frames, size), and which frames are sound (None: all)."""

    states: torch.Tensor
    mask: torch.Tensor | None = None

    def arguments(self) -> dict[str, torch.Tensor]:
        given = {"encoder_hidden_states": self.states}
        return given if self.mask is None else given | {"encoder_attention_mask": self.mask}


def write(decoder: Any, head: Any, prompt: torch.Tensor, encoded: Encoded, rules: Rules) -> list[Written]:
    """What each row of `prompt` (rows, tokens) is continued with."""
    rows = prompt.shape[0]
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    written = [Written() for _row in range(rows)]
    going = [limit > 0 for limit in rules.limits]
    ids = prompt
    never = _known(rules.never, head, prompt)
    not_first = _known([*rules.never, *rules.not_first], head, prompt)
    while any(going):
        banned = not_first if ids is prompt else never
        states = decoder(input_ids=ids, past_key_values=cache, use_cache=True, **encoded.arguments()).last_hidden_state
        scores = head(states[:, -1]).float().index_fill(-1, banned, float("-inf")).log_softmax(-1)
        if rules.temperature > 0:
            chosen = torch.multinomial((scores / rules.temperature).softmax(-1), 1)
        else:
            chosen = scores.argmax(-1, keepdim=True)
        sure = scores.gather(-1, chosen).exp()[:, 0].tolist()
        for row, token in enumerate(chosen[:, 0].tolist()):
            if not going[row]:
                continue
            if token == rules.end:
                going[row] = False
                continue
            one = written[row]
            one.ids.append(token)
            one.probabilities.append(sure[row])
            if kept := looped(one.ids):
                del one.ids[kept:], one.probabilities[kept:]
                going[row] = False
            elif len(one.ids) >= rules.limits[row]:
                going[row] = False
        ids = chosen
    return written


def _known(ids: Sequence[int], head: Any, prompt: torch.Tensor) -> torch.Tensor:
    """Those of `ids` that the model can write at all: old configurations have -1, tokenizers more than the model."""
    known = [index for index in ids if 0 <= index < head.out_features]
    return torch.tensor(known, dtype=torch.long, device=prompt.device)


def looped(ids: Sequence[int]) -> int | None:
    """How many of `ids` to keep when their end is one phrase again and again (it is kept once); None: no loop."""
    for period in range(1, _LONGEST_LOOP + 1):
        times = _LEAST_OF_ONE if period == 1 else max(_LEAST_TIMES, -(-_LEAST_LOOPED // period))
        span = period * times
        if span > len(ids):
            continue
        tail = ids[-span:]
        if all(tail[place] == tail[place % period] for place in range(period, span)):
            return len(ids) - span + period
    return None
