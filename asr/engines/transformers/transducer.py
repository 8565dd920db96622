"""Greedy decoding of transducers (RNN-T, TDT), a whole batch at a time.

The rules are NeMo's: a blank moves on by a frame (TDT: by the duration it predicts, at least one), a token stays
(TDT: moves by its duration), and after `max_symbols_per_step` tokens at one frame the next frame is forced. The
library's own `generate` lacks that bound for TDT and gives no probabilities; tests compare the tokens of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers.models.parakeet.generation_parakeet import ParakeetRNNTDecoderCache


@dataclass(frozen=True)
class Emission:
    """A token, the frame it was emitted at, how many frames it spans and its probability."""

    id: int
    frame: int
    frames: int
    probability: float


def decode(model: Any, encoded: torch.Tensor, lengths: torch.Tensor) -> list[list[Emission]]:
    """The tokens of each row of `encoded` (rows, frames, size: what the joint network takes), `lengths` frames long."""
    config = model.config
    rows, frames = encoded.shape[0], encoded.shape[1]
    blank, vocabulary = config.blank_token_id, config.vocab_size
    durations = getattr(config, "durations", None)
    steps = None if durations is None else torch.tensor(durations, device=encoded.device)
    cache = ParakeetRNNTDecoderCache(config)
    every = torch.arange(rows, device=encoded.device)
    frame = torch.zeros(rows, dtype=torch.long, device=encoded.device)
    at_frame = torch.zeros_like(frame)
    last = torch.full((rows,), blank, dtype=torch.long, device=encoded.device)
    found: list[list[Emission]] = [[] for _row in range(rows)]
    going = frame < lengths
    while bool(going.any()):
        state = model.decoder(last[:, None], cache=cache)
        heard = encoded[every, frame.clamp(max=frames - 1), None]
        logits = model.joint(decoder_hidden_states=state, encoder_hidden_states=heard)[:, -1].float()
        scores = logits[:, :vocabulary].log_softmax(-1)
        best, token = scores.max(-1)
        is_blank = token == blank
        if steps is None:
            move = is_blank.long()
        else:
            move = steps[logits[:, vocabulary:].argmax(-1)]
            move = torch.where(is_blank & (move == 0), torch.ones_like(move), move)
        at_frame = torch.where(is_blank | (move > 0), torch.zeros_like(at_frame), at_frame + 1)
        stuck = at_frame >= config.max_symbols_per_step
        at_frame = torch.where(stuck, torch.zeros_like(at_frame), at_frame)
        emits = (going & ~is_blank).tolist()
        if any(emits):
            spans = [1] * rows if steps is None else move.tolist()
            at, ids, sure = frame.tolist(), token.tolist(), best.exp().tolist()
            for row in (row for row in range(rows) if emits[row]):
                found[row].append(Emission(ids[row], at[row], spans[row], sure[row]))
        last = torch.where(going, token, blank)  # a row that has ended keeps its state
        frame = frame + torch.where(going, torch.where(stuck, move.clamp(min=1), move), 0)
        going = frame < lengths
    return found
