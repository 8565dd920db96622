"""A step waits for a service that is down, keeps waiting for one that is busy, and never gives up one that gets on."""

from __future__ import annotations

from typing import Any

import pytest

from app.meetings import patience as module
from app.meetings.patience import Patience, is_busy
from common.errors import ApiError
from common.web.client import unavailable

DOWN = ApiError(503, "peer_unavailable", "x")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def failures(patience: Patience, clock: list[float], error: ApiError, every: float, reached: Any = 0.0) -> int:
    """How many failures are borne, one after `every` seconds of work, before the last one; 100 means no end."""
    for count in range(100):
        clock[0] += every
        if patience.ended(error, reached(count) if callable(reached) else reached):
            return count
    return 100


def test_a_service_that_is_down_is_waited_for_so_long(clock: list[float]) -> None:
    assert failures(Patience(60.0), clock, DOWN, 10.0) == 6
    assert failures(Patience(0.0), clock, DOWN, 10.0) == 0


def test_an_attempt_that_failed_late_is_tried_again(clock: list[float]) -> None:
    """A service that is killed twenty minutes into a recording may begin again, once."""
    assert failures(Patience(600.0), clock, DOWN, 1200.0) == 1


def test_a_transcription_that_gets_on_is_never_given_up(clock: list[float]) -> None:
    assert failures(Patience(600.0), clock, DOWN, 1200.0, reached=lambda count: float(count)) == 100
    assert failures(Patience(60.0), clock, DOWN, 10.0, reached=30.0) == 6, "the same place each time"


@pytest.mark.parametrize(
    ("error", "busy"),
    [
        (ApiError(503, "overloaded", "x"), True),
        (ApiError(503, "model_not_ready", "x", extra={"model": {"key": "a", "state": "downloading"}}), True),
        (ApiError(503, "model_not_ready", "x", extra={"model": {"key": "a", "state": "error"}}), False),
        (ApiError(503, "model_not_ready", "x", extra={"model": "?"}), False),
        (ApiError(503, "model_not_ready", "x"), False),
        (DOWN, False),
    ],
)
def test_a_service_that_is_busy_is_waited_for_without_end(clock: list[float], error: ApiError, busy: bool) -> None:
    assert is_busy(error) is busy
    assert failures(Patience(60.0), clock, error, 10.0) == (100 if busy else 6)


def test_attempts_come_less_often_and_as_the_service_asks(clock: list[float]) -> None:
    patience = Patience(600.0)
    delays = [patience.delay(DOWN) for _attempt in range(8)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (1.0, 10.0)
    asked = ApiError(503, "overloaded", "x", headers={"Retry-After": "30"})
    assert patience.delay(asked) == 30.0
    assert patience.delay(ApiError(503, "overloaded", "x", headers={"Retry-After": "86400"})) == 60.0
    assert patience.delay(ApiError(503, "overloaded", "x", headers={"Retry-After": "Tue, 1 Jan"})) == 10.0
    assert Patience(1.0).delay(unavailable("asr")) == 3.0
