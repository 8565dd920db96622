"""Average-link clustering and the best pairing, on numpy alone: 90 MB of scipy for two functions would be a lot.

The tree is grown by the nearest-neighbour chain (Murtagh 1983): time and memory in the square of the rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.audio.decode import FloatArray

Merges = list[tuple[float, int, int]]
Labels = npt.NDArray[np.int64]


def average_tree(rows: FloatArray) -> Merges:
    """The merges that join all `rows` (unit vectors), the closest first: (distance, one row, another row).

    The distance of two groups is the mean, over their pairs, of one minus the cosine. A row stands for its group.
    Raises ValueError on numbers that are none: no chain among them would end.
    """
    count = len(rows)
    vectors = rows.astype(np.float64)
    if not np.isfinite(vectors).all():
        raise ValueError("rows must be finite")
    distance = vectors @ vectors.T
    np.subtract(1.0, distance, out=distance)
    np.fill_diagonal(distance, np.inf)
    sizes = np.ones(count)
    merges: Merges = []
    chain: list[int] = []
    alive = np.ones(count, bool)
    while len(merges) < count - 1:
        if not chain:
            chain.append(int(alive.argmax()))
        while True:
            last = chain[-1]
            near = int(distance[last].argmin())
            if len(chain) > 1 and distance[last, near] >= distance[last, chain[-2]]:
                break
            chain.append(near)
        one, other = chain.pop(), chain.pop()
        merges.append((float(distance[one, other]), one, other))
        mean = (sizes[one] * distance[one] + sizes[other] * distance[other]) / (sizes[one] + sizes[other])
        mean[one] = mean[other] = np.inf
        mean[~alive] = np.inf
        distance[one] = mean
        distance[:, one] = mean
        distance[other] = np.inf
        distance[:, other] = np.inf
        alive[other] = False
        sizes[one] += sizes[other]
    return sorted(merges, key=lambda merge: merge[0])


def cut(merges: Merges, count: int, *, farthest: float | None = None, groups: int | None = None) -> Labels:
    """A group number for each of `count` rows: merges up to the distance `farthest`, or until `groups` are left."""
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    kept = merges if groups is None else merges[: max(0, count - groups)]
    for distance, one, other in kept:
        if farthest is not None and distance > farthest:
            break
        parent[root(other)] = root(one)
    return np.asarray(np.unique([root(item) for item in range(count)], return_inverse=True)[1], np.int64)


def best_pairs(worth: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Row and column, each at most once, so that the sum of `worth` is greatest (the Hungarian method, Kuhn 1955)."""
    rows, columns = worth.shape
    if rows > columns:
        return sorted((row, column) for column, row in best_pairs(worth.T))
    cost = -worth
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    owner = np.zeros(columns + 1, np.int64)  # of each column, from 1; 0: nobody
    for row in range(1, rows + 1):
        owner[0] = row
        column = 0
        least = np.full(columns + 1, np.inf)
        came = np.zeros(columns + 1, np.int64)
        used = np.zeros(columns + 1, bool)
        while owner[column]:
            used[column] = True
            reduced = cost[owner[column] - 1] - row_price[owner[column]] - column_price[1:]
            better = ~used[1:] & (reduced < least[1:])
            least[1:][better] = reduced[better]
            came[1:][better] = column
            free = np.where(used, np.inf, least)
            free[0] = np.inf
            step = float(free.min())
            row_price[owner[used]] += step
            column_price[used] -= step
            least[~used] -= step
            column = int(free.argmin())
        while column:
            owner[column] = owner[came[column]]
            column = int(came[column])
    return sorted((int(owner[column]) - 1, column - 1) for column in range(1, columns + 1) if owner[column])
