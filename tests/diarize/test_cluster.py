"""Grouping made-up voices: vectors around a few directions, as the encoder's are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from diarize.engines.base import Turn
from diarize.engines.embedded.cluster import cluster
from diarize.engines.embedded.encoder import unit
from diarize.engines.embedded.likelihood import merged, needed, observed
from diarize.engines.embedded.turns import joined
from diarize.engines.embedded.windows import windows

SPREAD = np.geomspace(12.0, 0.15, 64).astype(np.float32)  # as in the space of voices


def voices(sizes: list[int], seed: int = 0) -> np.ndarray:
    """`sizes[i]` unit vectors of voice i, all heard through one channel."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, 1, (len(sizes), 64)) * np.sqrt(SPREAD) + random.normal(0, 1, 64)
    rows = np.concatenate([centres[i] + random.normal(0, 1, (size, 64)) for i, size in enumerate(sizes)])
    return unit(rows)


def clustered(sizes: list[int], least: int = 1, most: int | None = None) -> np.ndarray:
    """The voices one after the other, a window every 0.2 s, with pauses between them."""
    times = np.concatenate([np.arange(size) * 0.2 + 1e5 * i for i, size in enumerate(sizes)])
    return cluster(voices(sizes), times, SPREAD, least, most)


def grouping(labels: np.ndarray, sizes: list[int]) -> list[set[int]]:
    edges = np.cumsum([0, *sizes])
    return [set(labels[a:b].tolist()) for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("sizes", [[60], [40, 30], [50, 20, 35], [40, 40, 40, 40, 40]])
def test_the_number_of_voices_is_found(sizes: list[int]) -> None:
    groups = grouping(clustered(sizes), sizes)
    assert all(len(group) == 1 for group in groups)
    assert len(set.union(*groups)) == len(sizes)


def test_a_word_or_two_is_no_voice_unless_so_many_are_asked_for() -> None:
    assert len(set(clustered([60, 50, 6]).tolist())) == 2
    assert len(set(clustered([60, 50, 6], 3, 3).tolist())) == 3


def test_a_voice_cut_in_two_is_found_again() -> None:
    rows = observed(voices([50, 40]), SPREAD)
    cut = np.repeat([0, 1, 2], [25, 25, 40])
    assert grouping(needed(rows, cut, SPREAD), [50, 40]) in ([{0}, {1}], [{1}, {0}])
    assert grouping(merged(rows, cut, SPREAD, 1, 90), [50, 40]) == [{0}, {1}]


def test_windows_that_hold_two_voices_at_once_are_no_third_one() -> None:
    both = voices([50, 50])
    mixed = unit(both[10:26] + both[60:76])
    times = np.arange(116) * 0.2
    labels = cluster(np.concatenate((both[:50], mixed, both[50:])), times, SPREAD)
    assert len(set(labels.tolist())) == 2


@pytest.mark.parametrize(("least", "most", "expected"), [(1, 1, 1), (1, 2, 2), (4, 4, 4), (5, None, 5)])
def test_bounds_are_kept(least: int, most: int | None, expected: int) -> None:
    assert len(set(clustered([30, 30, 30], least, most).tolist())) == expected


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_very_few_windows(count: int) -> None:
    labels = clustered([count]) if count else cluster(np.zeros((0, 64), np.float32), np.zeros(0), SPREAD)
    assert labels.shape == (count,)
    assert len(set(labels.tolist())) <= 1
    assert len(set(clustered([3], least=8).tolist())) <= 3


def test_hours_are_clustered_without_a_huge_matrix() -> None:
    sizes = [6_000, 5_000]
    groups = grouping(clustered(sizes), sizes)
    assert [len(group) for group in groups] == [1, 1]
    assert groups[0] != groups[1]


def test_windows_stay_in_their_span() -> None:
    found = windows([(1.0, 1.5), (3.0, 6.0), (8.0, 8.75)])
    assert found[0].centre == pytest.approx(1.25)
    assert (found[0].frames, found[-1].frames) == (60, 80)
    inside = [window for window in found if 2.0 < window.centre < 7.0]
    assert inside[0].start == 300
    assert inside[-1].start + inside[-1].frames == 600
    assert {window.frames for window in inside} == {120}
    assert np.diff([window.centre for window in inside]).max() <= 0.2 + 0.011


def test_a_speakers_short_pauses_do_not_end_a_turn() -> None:
    turns = [Turn(0, 0.0, 1.0), Turn(0, 1.4, 2.0), Turn(1, 2.1, 3.0), Turn(0, 3.1, 4.0), Turn(0, 9.0, 9.5)]
    assert joined(turns) == [Turn(0, 0.0, 2.0), Turn(1, 2.1, 3.0), Turn(0, 3.1, 4.0), Turn(0, 9.0, 9.5)]
