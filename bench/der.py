"""Diarization error rate, exact (by intervals, not frames), with the usual collar and overlap options.

DER = (missed + false alarm + confused speaker time) / reference speaker time, under the one-to-one speaker mapping
that agrees most (Hungarian), as NIST's md-eval and pyannote.metrics define it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

Turn = tuple[str, float, float]  # speaker, start, end


@dataclass(frozen=True)
class Score:
    """Seconds of each kind of error, over `total` seconds of reference speaker time."""

    missed: float
    false_alarm: float
    confusion: float
    total: float

    @property
    def rate(self) -> float:
        errors = self.missed + self.false_alarm + self.confusion
        return errors / self.total if self.total else float(errors > 0)

    def __add__(self, other: Score) -> Score:
        return Score(
            self.missed + other.missed,
            self.false_alarm + other.false_alarm,
            self.confusion + other.confusion,
            self.total + other.total,
        )


def read_rttm(path: Path) -> dict[str, list[Turn]]:
    """Turns by file id."""
    turns: dict[str, list[Turn]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields and fields[0] == "SPEAKER":
            start = float(fields[3])
            turns[fields[1]].append((fields[7], start, start + float(fields[4])))
    return dict(turns)


def der(
    reference: list[Turn], hypothesis: list[Turn], *, end: float, collar: float = 0.0, skip_overlap: bool = False
) -> Score:
    """Score `hypothesis` from 0 to `end` seconds.

    `collar` seconds on each side of every reference boundary are not scored; `skip_overlap` leaves out the time where
    several people speak at once in the reference.
    """
    no_score = [(t - collar, t + collar) for _, a, b in reference for t in (a, b)] if collar else []
    edges = {0.0, end, *(t for _, a, b in [*reference, *hypothesis] for t in (a, b)), *(t for n in no_score for t in n)}
    cuts = sorted(t for t in edges if 0.0 <= t <= end)
    pieces = []
    for a, b in pairwise(cuts):
        middle = (a + b) / 2
        if any(x < middle < y for x, y in no_score):
            continue
        said = frozenset(s for s, x, y in reference if x < middle < y)
        found = frozenset(s for s, x, y in hypothesis if x < middle < y)
        if not (skip_overlap and len(said) > 1):
            pieces.append((b - a, said, found))
    mapping = _mapping(pieces)
    missed = false_alarm = confusion = total = 0.0
    for seconds, said, found in pieces:
        right = sum(mapping.get(s) in said for s in found)
        total += seconds * len(said)
        missed += seconds * max(0, len(said) - len(found))
        false_alarm += seconds * max(0, len(found) - len(said))
        confusion += seconds * (min(len(said), len(found)) - right)
    return Score(missed, false_alarm, confusion, total)


def _mapping(pieces: list[tuple[float, frozenset[str], frozenset[str]]]) -> dict[str, str]:
    """Hypothesis speaker → reference speaker, maximising the time in common."""
    said = sorted({s for _, names, _ in pieces for s in names})
    found = sorted({s for _, _, names in pieces for s in names})
    together = np.zeros((len(found), len(said)))
    for seconds, names, others in pieces:
        for f in others:
            for s in names:
                together[found.index(f), said.index(s)] += seconds
    rows, columns = linear_sum_assignment(-together)
    return {found[r]: said[c] for r, c in zip(rows, columns, strict=True) if together[r, c] > 0}
