"""The scorer itself, on cases that can be counted by hand."""

from __future__ import annotations

import pytest

from bench.der import Turn, der

TWO: list[Turn] = [("a", 0, 10), ("b", 10, 20)]
OVERLAPPED: list[Turn] = [("a", 0, 10), ("b", 5, 10)]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "options", "expected"),
    [
        (TWO, [("x", 0, 10), ("y", 10, 20)], {}, 0.0),
        (TWO, [("y", 10, 20), ("x", 0, 10)], {}, 0.0),
        (TWO, [], {}, 1.0),
        (TWO, [("x", 0, 20)], {}, 0.5),
        (TWO, [("x", 0, 11), ("y", 11, 20)], {}, 0.05),
        (TWO, [("x", 0, 10.2), ("y", 10.2, 20)], {"collar": 0.25}, 0.0),
        (TWO, [("x", 0, 10), ("y", 10, 20), ("z", 20, 22)], {}, 0.1),
        (TWO, [("x", 0, 5), ("z", 5, 10), ("y", 10, 20)], {}, 0.25),
        (OVERLAPPED, [("x", 0, 10)], {}, 1 / 3),
        (OVERLAPPED, [("x", 0, 10)], {"skip_overlap": True}, 0.0),
        (OVERLAPPED, [("x", 0, 10), ("y", 5, 10)], {}, 0.0),
        ([], [("x", 0, 1)], {}, 1.0),
        ([], [], {}, 0.0),
    ],
)
def test_rates_counted_by_hand(
    reference: list[Turn], hypothesis: list[Turn], options: dict[str, float], expected: float
) -> None:
    assert der(reference, hypothesis, end=30, **options).rate == pytest.approx(expected)  # type: ignore[arg-type]


def test_the_kinds_of_error_add_up() -> None:
    score = der(TWO, [("x", 0, 12), ("y", 15, 22)], end=30)
    assert (score.missed, score.false_alarm, score.confusion, score.total) == pytest.approx((3, 2, 2, 20))
