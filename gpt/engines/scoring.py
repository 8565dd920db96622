"""What the models that read with numpy make of a text they are given: how likely each of its tokens was."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from gpt.engines.base import TokenLogprob

Piece = Callable[[int], tuple[str, bytes]]


def scored(
    ids: list[int], rows: Iterable[NDArray[np.float32]], top: int, special: frozenset[int], piece: Piece
) -> tuple[TokenLogprob, ...]:
    """Each of `ids` but the special ones under its row of logits, with the `top` likeliest ids of the row."""
    found = []
    for token, logits in zip(ids, rows, strict=True):
        if token in special:
            continue
        shifted = logits.astype(np.float64) - float(logits.max())
        values = shifted - np.log(np.exp(shifted).sum())
        best = np.argsort(-values, kind="stable")[:top]
        others = tuple((int(i), *piece(int(i)), float(values[i])) for i in best)
        found.append(TokenLogprob(token, *piece(token), float(values[token]), others))
    return tuple(found)
