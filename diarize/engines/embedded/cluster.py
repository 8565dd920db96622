"""Who is who: embeddings grouped by speaker, the number of speakers found or bounded.

Average-link clustering gives small pure groups; each window then goes to its nearest centre, and the two most similar
groups are merged again and again, until what is left is too different to be one voice. Two small groups are compared
less strictly than two big ones, because the centre of a few windows is a noisy thing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

from common.audio.decode import FloatArray
from diarize.engines.embedded.encoder import unit

Labels = npt.NDArray[np.int64]

_PURE = 0.55  # cosine similarity within the first groups
_SAME_VOICE = 0.82  # two groups closer than this, less the allowance, are one voice
_ALLOWANCE = 0.27  # over the square root of the smaller group's seconds
_WINDOWS_PER_SECOND = 5
_SMALLEST = 6  # windows; a smaller group is noise unless so many speakers are asked for
_BELL_SECONDS = 0.6
_NEIGHBOURS = 6
_LARGEST_PROBLEM = 2000  # windows compared with one another at once: 7 minutes of speech


def smoothed(embeddings: FloatArray, times: npt.NDArray[np.float64]) -> FloatArray:
    """Each embedding averaged with those of the windows around it (a bell of 0.6 s): steadier, hardly less sharp."""
    total = embeddings.copy()
    for shift in range(1, min(_NEIGHBOURS, len(times) - 1) + 1):
        weight = np.exp(-0.5 * np.square((times[shift:] - times[:-shift]) / _BELL_SECONDS))[:, None].astype(np.float32)
        total[shift:] += weight * embeddings[:-shift]
        total[:-shift] += weight * embeddings[shift:]
    return unit(total)


def cluster(embeddings: FloatArray, least: int = 1, most: int | None = None) -> Labels:
    """A speaker number, from 0, for each unit embedding. Asked bounds are kept as far as there are windows.

    `embeddings` are in order of time: those of a long recording are first grouped by stretches, and only the groups
    are compared all with all.
    """
    count = len(embeddings)
    if count <= 1:
        return np.zeros(count, np.int64)
    least = min(max(1, least), count)
    most = count if most is None else max(most, least)
    stretches = np.array_split(embeddings, -(-count // _LARGEST_PROBLEM))
    parts: list[Labels] = []
    groups = 0
    for stretch in stretches:
        parts.append(_first_groups(stretch, min(least, len(stretch))) + groups)
        groups = int(parts[-1].max()) + 1
    labels = np.concatenate(parts)
    while (groups := int(labels.max()) + 1) > least:
        i, j, excess = _closest(embeddings, labels)
        if groups <= most and excess < 0:
            break
        labels = _renumbered(np.where(labels == j, i, labels))
        if len(stretches) == 1:
            labels = _settled(embeddings, labels)
    return _settled(embeddings, labels)


def _first_groups(embeddings: FloatArray, least: int) -> Labels:
    tree = linkage(embeddings.astype(np.float64), "average", metric="cosine")
    labels = _renumbered(fcluster(tree, 1.0 - _PURE, "distance"))
    sizes = np.bincount(labels)
    kept = np.flatnonzero(sizes >= _SMALLEST)
    if len(kept) < least:
        kept = np.flatnonzero(sizes >= min(_SMALLEST, int(np.sort(sizes)[-min(least, len(sizes))])))
    if len(kept) < least:
        labels = _renumbered(fcluster(tree, least, "maxclust"))
        kept = np.arange(labels.max() + 1)
    centres = centres_of(embeddings, labels)[kept]
    return _settled(embeddings, _nearest(embeddings, centres))


def _settled(embeddings: FloatArray, labels: npt.NDArray[np.integer], rounds: int = 10) -> Labels:
    """Move every window to its nearest centre until nothing moves, as long as no group is emptied."""
    settled = _renumbered(labels)
    groups = int(settled.max()) + 1
    for _round in range(rounds):
        moved = _nearest(embeddings, centres_of(embeddings, settled))
        if len(np.unique(moved)) < groups or np.array_equal(moved, settled):
            break
        settled = moved
    return settled


def _closest(embeddings: FloatArray, labels: Labels) -> tuple[int, int, float]:
    """The pair of groups most like one voice, and by how much its similarity exceeds what tells two voices apart."""
    centres, sizes = centres_of(embeddings, labels), np.bincount(labels)
    seconds = np.minimum(sizes[:, None], sizes[None, :]) / _WINDOWS_PER_SECOND
    excess = centres @ centres.T - (_SAME_VOICE - _ALLOWANCE / np.sqrt(seconds))
    np.fill_diagonal(excess, -np.inf)
    i, j = np.unravel_index(int(excess.argmax()), excess.shape)
    return int(min(i, j)), int(max(i, j)), float(excess[i, j])


def centres_of(embeddings: FloatArray, labels: Labels) -> FloatArray:
    """The unit mean of each group: (groups, dimensions)."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(int(labels.max()) + 1))
    return unit(np.add.reduceat(embeddings[order], starts, axis=0))


def _nearest(embeddings: FloatArray, centres: FloatArray) -> Labels:
    return np.asarray((embeddings @ centres.T).argmax(axis=1), np.int64)


def _renumbered(labels: npt.NDArray[np.integer]) -> Labels:
    return np.asarray(np.unique(labels, return_inverse=True)[1], np.int64)
