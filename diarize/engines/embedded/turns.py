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
_PAUSE = 0.6  # one speaker's silence that does not end the turn


def turns(
    spans: list[tuple[float, float]], window_times: Times, embeddings: FloatArray, centres: FloatArray
) -> list[Turn]:
    """Turns inside the spans of speech. Each instant goes by the windows around it, the nearest counting most."""
    similarities = (embeddings @ centres.T).astype(np.float64) * _SHARPNESS
    found: list[Turn] = []
    for start, end in spans:
        inside = (window_times >= start - 1e-6) & (window_times <= end + 1e-6)
        steps = max(1, round((end - start) / _STEP))
        step = (end - start) / steps
        instants = start + (np.arange(steps) + 0.5) * step
        reach = np.abs(instants[:, None] - window_times[None, inside]) / (WINDOW_SECONDS / 2)
        weights = np.square(np.maximum(0.0, 1.0 - reach) + 1e-6)
        scores = weights @ similarities[inside] / weights.sum(axis=1, keepdims=True)
        path = _smooth_path(scores)
        edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), steps]
        for first, last in itertools.pairwise(edges):
            found.append(Turn(int(path[first]), start + first * step, start + last * step))
    return joined(found)


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
