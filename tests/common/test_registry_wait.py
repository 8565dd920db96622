"""Calls that wait for their model: how long, what they are told, and what ends their wait."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from common.errors import ApiError
from common.models.lifecycle.calls import MAX_WAITING
from common.models.registry import Registry
from tests.common.lifecycle_fakes import (
    Call,
    Clock,
    FakeEngine,
    Machine,
    entry,
    registry_of,
    served,
    until,
    until_state,
    until_waiting,
)


def refusal(registry: Registry[FakeEngine], name: str | None, **kwargs: Any) -> ApiError:
    with pytest.raises(ApiError) as refused, registry.use(name, **kwargs):
        pass
    return refused.value


def test_a_call_waits_for_its_model(machine: Machine) -> None:
    registry = registry_of(machine, entry("a"), here=False)
    gate = machine.gate("download a").shut()
    calls = [Call(registry, name) for name in (None, "a", "default")]
    until_waiting(registry, "a", 3)
    gate.set()
    assert [call.end().served for call in calls] == ["a"] * 3
    assert registry.calls("a") == (0, 0)
    assert machine.loads == ["a"]


def test_the_wait_is_bounded_and_told_how_far_it_is(machine: Machine, clock: Clock) -> None:
    registry = registry_of(machine, entry("a"), here=False, swap_wait_s=120, clock=clock)
    gate = machine.gate("download a").shut()
    call = Call(registry, "a")
    until_waiting(registry, "a")
    assert gate.reached.wait(30)
    clock.now += 119
    registry.wake()
    until_waiting(registry, "a")
    assert call.error is None
    clock.now += 1
    registry.wake()
    error = call.end().error
    assert error is not None
    assert (error.status, error.code, error.headers["Retry-After"]) == (503, "model_not_ready", "3")
    assert error.extra["model"] == {"key": "a", "state": "downloading", "bytes_done": 0, "bytes_total": 10}
    gate.set()
    until_state(registry, "a", "ready")  # it goes on for the next one


@pytest.mark.parametrize(("seconds", "eta", "retry"), [(4, 16, "16"), (400, 1600, "60")])
def test_a_measured_rate_gives_the_time_to_come_back(
    machine: Machine, clock: Clock, seconds: int, eta: int, retry: str
) -> None:
    registry = registry_of(machine, entry("a"), here=False, swap_wait_s=0, clock=clock)
    gate = machine.gate("download a").shut()
    registry.download("a")
    assert gate.reached.wait(30)
    slot = registry._ledger.slot("a")
    with registry._ledger.changed:
        clock.now += seconds
        registry._ledger.progress(slot, 2, 10)
    error = refusal(registry, "a")
    assert error.extra["model"]["eta_seconds"] == eta
    assert error.headers["Retry-After"] == retry
    assert registry.status("a")["eta_seconds"] == eta
    gate.set()
    until_state(registry, "a", "downloaded")
    assert "eta_seconds" not in registry.status("a")


def test_a_load_that_was_measured_gives_an_eta_the_next_time(machine: Machine, clock: Clock) -> None:
    registry = registry_of(machine, entry("a"), swap_wait_s=0, clock=clock)
    gate = machine.gate("load a").shut()
    registry.start()
    assert gate.reached.wait(30)
    assert "eta_seconds" not in registry.status("a")
    clock.now += 30
    gate.set()
    until_state(registry, "a", "ready")
    registry.unload("a")
    until_state(registry, "a", "downloaded")
    gate.shut()
    registry.load("a")
    assert gate.reached.wait(30)
    clock.now += 10
    assert registry.status("a")["eta_seconds"] == 20
    clock.now += 30  # longer than the last time: nobody knows
    assert "eta_seconds" not in registry.status("a")
    gate.set()
    until_state(registry, "a", "ready")


def test_so_many_calls_wait_and_no_more(machine: Machine) -> None:
    """A thread each: the service must have some left to say that it is alive, and to serve what is ready."""
    registry = registry_of(machine, entry("a", 10), entry("b", 10))
    registry.start()
    until_state(registry, "a", "ready")
    gate = machine.gate("load b").shut()
    calls = [Call(registry, "b") for _ in range(MAX_WAITING)]
    until_waiting(registry, "b", MAX_WAITING)
    error = refusal(registry, "b")
    assert (error.code, error.headers["Retry-After"]) == ("model_not_ready", "3")
    assert served(registry, "a") == "a"
    gate.set()
    assert [call.end().served for call in calls] == ["b"] * MAX_WAITING


def test_a_client_that_leaves_waits_no_more(machine: Machine) -> None:
    registry = registry_of(machine, entry("a"))
    gate = machine.gate("load a").shut()
    left = threading.Event()
    call = Call(registry, "a", gone=left.is_set)
    until_waiting(registry, "a")
    left.set()
    error = call.end().error
    assert error is not None
    assert error.status == 499
    assert registry.calls("a") == (0, 0)
    gate.set()


def test_a_call_whose_model_fails_meanwhile_is_told_at_once(machine: Machine) -> None:
    registry = registry_of(machine, entry("a"))
    machine.fail["a"] = [MemoryError()]
    gate = machine.gate("load a").shut()
    call = Call(registry, "a")
    until_waiting(registry, "a")
    gate.set()
    error = call.end().error
    assert error is not None
    assert error.code == "model_not_ready"
    assert error.extra["model"]["state"] == "error"
    assert "mémoire" in str(error.message)


def test_a_failure_is_not_tried_again_by_a_mere_request_before_a_while(machine: Machine, clock: Clock) -> None:
    registry = registry_of(machine, entry("a"), swap_wait_s=20, clock=clock)
    machine.fail["a"] = [MemoryError(), MemoryError()]
    registry.start()
    until_state(registry, "a", "error")
    error = refusal(registry, "a")
    assert int(error.headers["Retry-After"]) == 30
    assert machine.loads == ["a"]
    clock.now += 30
    refusal(registry, "a")
    assert machine.loads == ["a", "a"]
    clock.now += 30
    assert Call(registry, "a").end().served == "a"


def test_a_call_follows_the_default_when_it_changes(machine: Machine) -> None:
    """It waits for the default, whichever that is by then."""
    registry = registry_of(machine, entry("a"), entry("b"))
    gate = machine.gate("load a").shut()
    call = Call(registry)
    until_waiting(registry, "a")
    registry.load("b")
    until_state(registry, "b", "loading")
    until_waiting(registry, "b")
    assert registry.calls("a") == (0, 0)
    gate.set()
    until(registry, lambda: registry.state("b") == "ready" or call.held.is_set())
    assert call.end().served in {"a", "b"}
    until_state(registry, "b", "ready")


def test_a_request_is_not_refused_for_memory_that_a_swap_is_about_to_give_back(machine: Machine) -> None:
    """While b is on its way into a's memory, a is asked for: it would fit once b has left again."""
    registry = registry_of(machine, entry("a", 60), entry("b", 60))
    registry.start()
    until_state(registry, "a", "ready")
    gate = machine.gate("load b").shut()
    machine.lost = 0
    registry.load("b")
    assert gate.reached.wait(30)
    machine.lost = 55  # b is half loaded: what it holds is not counted as free
    call = Call(registry, "a")
    until_waiting(registry, "a")
    machine.lost = 0
    gate.set()
    assert call.end().served == "a"
