"""How likely it is that windows come from one voice: a voice is drawn at random, and its windows around it.

In the space of voices, people vary by `spread` on each axis where the windows of one person vary by 1 (probabilistic
linear discriminant analysis). The evidence of a group of windows, the voice integrated out, says whether two groups
are better explained by one voice or by two; a variational mixture of such voices (VBx without its Markov chain:
Landini et al., "Bayesian HMM clustering of x-vector sequences", 2022) then lets go of those that are not needed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.audio.decode import FloatArray

Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_WINDOW = 0.3  # what one window counts for: it shares most of its sound with the next
_PRIOR = 2.5  # how strongly a voice is held to where voices are
_RATIO = _WINDOW / _PRIOR
_CERTAIN = 2.0  # log odds of the first share of a window for its own group
_ROUNDS = 30
_SETTLED = 1e-4  # change of shares
_GONE = 0.2  # windows; a voice with fewer is none
_ROWS = 4096  # windows computed at once, so that hours take little memory


def observed(embeddings: FloatArray, spread: FloatArray) -> FloatArray:
    """Unit embeddings at the length that windows have, around the mean of the recording, weighted for the model.

    The mean holds what the room and the microphone put on everybody.
    """
    rows = embeddings * np.sqrt(np.sum(spread + 1.0))
    return np.asarray((rows - rows.mean(axis=0)) * np.sqrt(spread), np.float32)


def sums(rows: FloatArray, labels: Labels) -> tuple[Numbers, Numbers]:
    """For each group, the sum of its rows (groups, dimensions) and how many they are (groups,)."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(int(labels.max()) + 1))
    return np.add.reduceat(rows[order].astype(np.float64), starts, axis=0), np.bincount(labels).astype(np.float64)


def evidence(total: Numbers, count: Numbers, spread: FloatArray) -> Numbers:
    """Logarithm of the evidence that each group (total (…, dimensions), count (…)) is one voice."""
    shrink = 1.0 / (1.0 + _RATIO * count[..., None] * spread)
    terms = np.square(_RATIO * total) * shrink + np.log(shrink)
    return np.asarray(0.5 * _PRIOR * terms.sum(axis=-1))


def merged(rows: FloatArray, labels: Labels, spread: FloatArray, least: int, most: int) -> Labels:
    """Merge the two groups that gain most by being one voice, until none gain; asked bounds are kept."""
    total, count = sums(rows, labels)
    groups = len(count)
    alone = evidence(total, count, spread)
    gains = np.full((groups, groups), -np.inf)

    def compare(group: int) -> None:
        together = evidence(total[group] + total, count[group] + count, spread)
        gain = np.where(np.isfinite(alone), together - alone - alone[group], -np.inf)
        gain[group] = -np.inf
        gains[group] = gains[:, group] = gain

    for group in range(groups):
        compare(group)
    into = np.arange(groups)
    while groups > least:
        i, j = sorted(divmod(int(gains.argmax()), len(count)))
        if groups <= most and gains[i, j] < 0:
            break
        total[i], count[i] = total[i] + total[j], count[i] + count[j]
        into[into == j] = i
        alone[i], alone[j] = evidence(total[i], count[i], spread), -np.inf
        gains[j] = gains[:, j] = -np.inf
        compare(i)
        groups -= 1
    return np.asarray(np.unique(into[labels], return_inverse=True)[1], np.int64)


def needed(rows: FloatArray, labels: Labels, spread: FloatArray) -> Labels:
    """Share the windows out among the voices again and again; those that others explain as well disappear."""
    groups = int(labels.max()) + 1
    shares = np.full((len(rows), groups), 1.0, np.float32)
    shares[np.arange(len(rows)), labels] = np.exp(_CERTAIN)
    shares /= shares.sum(axis=1, keepdims=True)
    weights = np.full(groups, 1.0 / groups)
    for _round in range(_ROUNDS):
        shrink = 1.0 / (1.0 + _RATIO * shares.sum(axis=0, dtype=np.float64)[:, None] * spread)
        voices = _RATIO * shrink * (shares.T @ rows)
        bias = np.log(weights) - 0.5 * _WINDOW * (shrink + np.square(voices)) @ spread
        change = 0.0
        for start in range(0, len(rows), _ROWS):
            some = _WINDOW * (rows[start : start + _ROWS] @ voices.T) + bias
            some = np.exp(some - some.max(axis=1, keepdims=True))
            some /= some.sum(axis=1, keepdims=True)
            change = max(change, float(np.abs(some - shares[start : start + _ROWS]).max()))
            shares[start : start + _ROWS] = some
        weights = shares.mean(axis=0, dtype=np.float64)
        kept = weights * len(rows) >= _GONE
        if not kept.all():
            shares = shares[:, kept]
            shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-30)
            weights = weights[kept] / weights[kept].sum()
        elif change < _SETTLED:
            break
    return np.asarray(np.unique(shares.argmax(axis=1), return_inverse=True)[1], np.int64)
