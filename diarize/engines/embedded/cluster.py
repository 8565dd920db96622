"""Who is who: embeddings grouped by speaker, the number of speakers found or bounded.

Average-link clustering gives small pure groups, which are merged as long as one voice explains two of them better
than two voices do; then every window is shared out anew, and voices that are not needed, or that say too little,
disappear.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.audio.decode import FloatArray
from diarize.engines.embedded.encoder import unit
from diarize.engines.embedded.likelihood import Labels, merged, needed, observed
from diarize.linkage import average_tree, cut

_PURE = 0.6  # cosine similarity within the first groups
_SMALLEST = 5  # windows; a smaller group is noise unless so many speakers are asked for
_BRIEF = 7  # windows (1.3 s); a voice heard less is the one that it is most like
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


def cluster(
    embeddings: FloatArray,
    times: npt.NDArray[np.float64],
    spread: FloatArray,
    least: int = 1,
    most: int | None = None,
) -> Labels:
    """A speaker number, from 0, for each unit embedding. Asked bounds are kept as far as there are windows.

    `embeddings` are in order of `times` (seconds): those of a long recording are first grouped by stretches, and only
    the groups are compared all with all. `spread`: see `SpeakerEncoder`.
    """
    count = len(embeddings)
    if count <= 1:
        return np.zeros(count, np.int64)
    least = min(max(1, least), count)
    most = count if most is None else max(most, least)
    steady = smoothed(embeddings, times)
    parts: list[Labels] = []
    groups = 0
    for stretch in np.array_split(steady, -(-count // _LARGEST_PROBLEM)):
        parts.append(_first_groups(stretch, min(least, len(stretch))) + groups)
        groups = int(parts[-1].max()) + 1
    rows = observed(embeddings, spread)
    labels = _settled(steady, merged(rows, np.concatenate(parts), spread, least, most))
    fewer = needed(rows, labels, spread)
    if fewer.max() + 1 >= least:
        labels = fewer
    return _without_brief(embeddings, labels, least)


def _without_brief(embeddings: FloatArray, labels: Labels, least: int) -> Labels:
    """The shortest voices given to those that they are most like."""
    while (groups := int(labels.max()) + 1) > least:
        sizes = np.bincount(labels)
        brief = int(sizes.argmin())
        if sizes[brief] >= _BRIEF:
            break
        centres = centres_of(embeddings, labels)
        likeness = np.where(np.arange(groups) == brief, -np.inf, centres @ centres[brief])
        labels = _renumbered(np.where(labels == brief, int(likeness.argmax()), labels))
    return labels


def _first_groups(embeddings: FloatArray, least: int) -> Labels:
    tree = average_tree(embeddings)
    labels = cut(tree, len(embeddings), farthest=1.0 - _PURE)
    sizes = np.bincount(labels)
    kept = np.flatnonzero(sizes >= _SMALLEST)
    if len(kept) < least:
        kept = np.flatnonzero(sizes >= min(_SMALLEST, int(np.sort(sizes)[-min(least, len(sizes))])))
    if len(kept) < least:
        labels = cut(tree, len(embeddings), groups=least)
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


def centres_of(embeddings: FloatArray, labels: Labels) -> FloatArray:
    """The unit mean of each group: (groups, dimensions)."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(int(labels.max()) + 1))
    return unit(np.add.reduceat(embeddings[order], starts, axis=0))


def _nearest(embeddings: FloatArray, centres: FloatArray) -> Labels:
    return np.asarray((embeddings @ centres.T).argmax(axis=1), np.int64)


def _renumbered(labels: npt.NDArray[np.integer]) -> Labels:
    return np.asarray(np.unique(labels, return_inverse=True)[1], np.int64)
