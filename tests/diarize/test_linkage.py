"""Our clustering and pairing against scipy's, which is installed for the tests only."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment

from diarize.linkage import average_tree, best_pairs, cut


def same_groups(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two labellings put the same rows together."""
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


@pytest.mark.parametrize("count", [2, 3, 17, 300])
@pytest.mark.parametrize("seed", range(4))
def test_the_tree_is_scipys(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(5, 32))
    rows = centres[random.integers(5, size=count)] + 0.8 * random.normal(size=(count, 32))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    theirs = linkage(rows.astype(np.float64), "average", metric="cosine")
    ours = average_tree(rows)
    assert np.allclose([distance for distance, *_rows in ours], theirs[:, 2], atol=1e-6)
    for farthest in (0.2, 0.4, 0.8):
        assert same_groups(cut(ours, count, farthest=farthest), fcluster(theirs, farthest, "distance"))
    for groups in (1, 2, min(7, count)):
        assert same_groups(cut(ours, count, groups=groups), fcluster(theirs, groups, "maxclust"))


@pytest.mark.parametrize("count", [40, 700])
def test_ties_join_the_same_groups(count: int) -> None:
    """Many rows alike, as of a recording that repeats itself."""
    random = np.random.default_rng(count)
    kinds = random.normal(size=(7, 16))
    rows = kinds[random.integers(7, size=count)]
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    theirs = linkage(rows.astype(np.float64), "average", metric="cosine")
    for farthest in (1e-3, 0.4, 0.8, 1.2):
        assert same_groups(cut(average_tree(rows), count, farthest=farthest), fcluster(theirs, farthest, "distance"))
    for groups in (1, 3, 7, 12):
        assert len(np.unique(cut(average_tree(rows), count, groups=groups))) == groups


@pytest.mark.timeout(60)
def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        average_tree(np.array([[1.0, 0.0], [np.nan, 0.0], [0.0, 1.0]], np.float32))


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 6), (7, 4), (12, 12)])
@pytest.mark.parametrize("seed", range(4))
def test_the_pairs_are_worth_as_much_as_scipys(shape: tuple[int, int], seed: int) -> None:
    worth = np.random.default_rng(seed).random(shape)
    pairs = best_pairs(worth)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs) == min(shape)
    assert sum(worth[pair] for pair in pairs) == pytest.approx(worth[linear_sum_assignment(-worth)].sum())
