"""Sound through an encoder, in few shapes on a CPU: oneDNN keeps something of every shape that it ever computed.

Every batch of speech has a length of its own, and each new one left about a megabyte for good in a process with a
Parakeet of 110 million parameters in bfloat16, 100 MB an hour, even with its cache of primitives off. So sounds go by
1, 2, 4 or more of similar lengths, with silence up to an even number of seconds, which the encoder's mask leaves out.
Some 40 shapes are all there can be, however long the recordings are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from asr.engines.process.spec import Utterance
from asr.engines.transformers.opening import RATE, Loaded, padded

STEP_SECONDS = 2
PASS_SECONDS = 40
"""Sound read at once on a CPU, silence included: 80 s take 100 MB more, and 6 % more time for a second of sound."""
Samples = np.ndarray[Any, np.dtype[np.float32]]


def encode(
    encoder: Any, loaded: Loaded, batch: Sequence[Utterance], least_seconds: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `encoder` makes of each sound, (rows, frames, size), and which frames are sound, (rows, frames).

    Sounds that are shorter than `least_seconds` are read as if silence were part of them.
    """
    sounds = [padded(utterance, least_seconds) for utterance in batch]
    if loaded.device.type != "cpu":
        return _read(encoder, loaded, sounds, {})
    states: dict[int, torch.Tensor] = {}
    masks: dict[int, torch.Tensor] = {}
    for seconds, places in passes([one.size for one in sounds]):
        longest = {"padding": "max_length", "max_length": seconds * RATE}
        read, mask = _read(encoder, loaded, [sounds[place] for place in places], longest)
        for row, place in enumerate(places):
            states[place], masks[place] = read[row], mask[row]
    rows = range(len(sounds))
    return pad_sequence([states[row] for row in rows], True), pad_sequence([masks[row] for row in rows], True)


def passes(samples: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Sounds of these lengths in groups to read at once: (seconds to bring each to, their places), longest first."""
    left = sorted(range(len(samples)), key=lambda place: -samples[place])
    found: list[tuple[int, list[int]]] = []
    while left:
        seconds = STEP_SECONDS * max(1, math.ceil(samples[left[0]] / (STEP_SECONDS * RATE)))
        most = min(len(left), max(1, PASS_SECONDS // seconds))
        count = 1 << (most.bit_length() - 1)  # a power of two
        found.append((seconds, left[:count]))
        left = left[count:]
    return found


def _read(
    encoder: Any, loaded: Loaded, sounds: Sequence[Samples], padding: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = loaded.features(list(sounds), sampling_rate=RATE, return_tensors="pt", **padding)
    encoded = encoder(
        inputs["input_features"].to(loaded.device, loaded.dtype),
        attention_mask=inputs["attention_mask"].to(loaded.device),
    )
    return encoded.last_hidden_state, encoded.attention_mask
