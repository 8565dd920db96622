"""From groups of windows back to time: who speaks at each instant of speech, then turns."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from common.audio.decode import FloatArray
from diarize.engines.base import Turn
from diarize.engines.embedded.windows import WINDOW_SECONDS, Times

_STEP = 0.05
_SHARPNESS = 10.0
_CHANGE_COST = 1.5  # in units of sharpened similarity: keeps a turn from flickering
_PAUSE = 0.8  # one speaker's silence that does not end the turn
_ALONE = 1e-6  # weight of a window that does not reach the instant: only where no other does


def turns(
    spans: list[tuple[float, float]], window_times: Times, embeddings: FloatArray, centres: FloatArray
) -> list[Turn]:
    """Turns inside the spans of speech, one speaker at a time. Each instant goes by the windows around it.

    `window_times`: the centres of the windows, in seconds, in order; every span has one at least.
    """
    found: list[Turn] = []
    for start, end in spans:
        first = int(np.searchsorted(window_times, start - 0.01))
        last = max(first + 1, int(np.searchsorted(window_times, end + 0.01, side="right")))
        similarities = (embeddings[first:last] @ centres.T).astype(np.float64) * _SHARPNESS
        steps = max(1, round((end - start) / _STEP))
        step = (end - start) / steps
        instants = np.asarray(start + (np.arange(steps) + 0.5) * step, np.float64)
        path = _smooth_path(_scores(instants, window_times[first:last], similarities))
        edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), steps]
        for a, b in itertools.pairwise(edges):
            found.append(Turn(int(path[a]), start + a * step, start + b * step))
    return joined(found)


def _scores(instants: Times, times: Times, similarities: Times) -> Times:
    """Likeness to each speaker at each instant (instants, speakers): the nearest windows count most.

    By pieces of time, so that an hour without a pause needs no large matrix.
    """
    parts = []
    for i in range(0, len(instants), 1000):
        some = instants[i : i + 1000]
        low = int(np.searchsorted(times, some[0] - WINDOW_SECONDS))
        high = int(np.searchsorted(times, some[-1] + WINDOW_SECONDS, side="right"))
        low, high = min(low, len(times) - 1), max(high, min(low, len(times) - 1) + 1)
        reach = np.abs(some[:, None] - times[None, low:high]) / (WINDOW_SECONDS / 2)
        weights = np.square(np.maximum(0.0, 1.0 - reach)) + _ALONE
        parts.append(weights @ similarities[low:high] / weights.sum(axis=1, keepdims=True))
    return np.concatenate(parts)


def _smooth_path(scores: Times) -> npt.NDArray[np.int64]:
    """Viterbi: the best sequence of speakers when each change costs something."""
    steps, speakers = scores.shape
    best = scores[0].copy()
    came_from = np.zeros((steps, speakers), np.int64)
    stay = np.arange(speakers)
    for step in range(1, steps):
        leader = int(best.argmax())
        change = best[leader] - _CHANGE_COST
        came_from[step] = np.where(best >= change, stay, leader)
        best = np.maximum(best, change) + scores[step]
    path = np.empty(steps, np.int64)
    path[-1] = int(best.argmax())
    for step in range(steps - 1, 0, -1):
        path[step - 1] = came_from[step, path[step]]
    return path


def joined(found: list[Turn]) -> list[Turn]:
    """One turn out of two that are the same speaker's, with nobody else between and a short pause."""
    out: list[Turn] = []
    for turn in found:
        last = out[-1] if out else None
        if last is not None and last.speaker == turn.speaker and turn.start - last.end <= _PAUSE:
            out[-1] = Turn(last.speaker, last.start, turn.end)
        else:
            out.append(turn)
    return out
