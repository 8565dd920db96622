"""Engines that nobody uses are unloaded; engines that die are loaded again, a few times."""

from __future__ import annotations

import pytest

from common.errors import ApiError
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


def engine(machine: Machine, key: str) -> FakeEngine:
    return next(engine for engine in machine.engines if engine.entry.key == key)


# --- nobody uses it ------------------------------------------------------------------------------------------


def test_a_model_nobody_uses_is_unloaded_and_comes_back_when_asked(machine: Machine, clock: Clock) -> None:
    registry = registry_of(machine, entry("a", 40), entry("b", 40), ttl_s=60, clock=clock)
    assert (served(registry, "a"), served(registry, "b")) == ("a", "b")
    clock.now += 40
    served(registry, "b")
    clock.now += 20  # 60 s without a, 20 without b
    registry.wake()
    until_state(registry, "a", "downloaded")
    assert registry.state("b") == "ready"
    assert registry.selection.chosen == "a"
    assert [one.entry.key for one in machine.engines] == ["b"]
    assert served(registry, "a") == "a"
    assert machine.loads == ["a", "b", "a"]


def test_a_model_in_use_is_not_idle_however_long_the_call(machine: Machine, clock: Clock) -> None:
    registry = registry_of(machine, entry("a"), ttl_s=60, clock=clock)
    call = Call(registry)
    assert call.held.wait(30)
    clock.now += 1000
    registry.wake()
    assert registry._mover._due() is None
    assert call.end().served == "a"  # its time begins now
    clock.now += 59
    registry.wake()
    assert registry._mover._due() is None
    assert registry.state("a") == "ready"
    clock.now += 1
    registry.wake()
    until_state(registry, "a", "downloaded")


def test_a_model_is_unloaded_by_the_time_alone(machine: Machine) -> None:
    """With the real clock, and nothing that wakes the registry."""
    registry = registry_of(machine, entry("a"), ttl_s=0.05)
    assert served(registry) == "a"
    until(registry, lambda: machine.engines == [] and registry.state("a") == "downloaded")


def test_the_service_is_ready_while_its_model_sleeps(machine: Machine, clock: Clock) -> None:
    """Who routes by /ready would send no request any more, and only a request wakes the model."""
    registry = registry_of(machine, entry("a"), ttl_s=60, clock=clock)
    assert registry.ready() == {"model": "downloaded"}  # never loaded: not yet
    served(registry)
    clock.now += 60
    registry.wake()
    until_state(registry, "a", "downloaded")
    assert registry.ready() == {"model": "ready"}
    assert served(registry) == "a"


def test_without_a_time_nothing_is_unloaded(machine: Machine, clock: Clock) -> None:
    registry = registry_of(machine, entry("a"), clock=clock)
    served(registry)
    clock.now += 1e9
    assert registry._mover._due() is None
    assert registry._mover._next_due() is None


# --- it dies -------------------------------------------------------------------------------------------------


def test_an_engine_that_dies_is_loaded_again(machine: Machine) -> None:
    registry = registry_of(machine, entry("a"))
    registry.start()
    until_state(registry, "a", "ready")
    gate = machine.gate("load a").shut()
    dead = engine(machine, "a")
    dead.die()
    assert gate.reached.wait(30)
    assert registry.state("a") == "loading"
    assert "tué par le système" in registry.status("a")["error"]
    assert dead.closed
    waiting = Call(registry)
    until_waiting(registry, "a")
    gate.set()
    assert waiting.end().served == "a"
    assert registry.status("a")["error"] is None
    assert ("ready", "error") in [(move.previous, move.state) for move in registry._ledger.moves]


def test_the_end_of_a_call_on_a_dead_engine_frees_nothing_of_the_new_one(machine: Machine) -> None:
    registry = registry_of(machine, entry("a"))
    held = registry.use("a")
    held.__enter__()
    engine(machine, "a").die()
    until(registry, lambda: machine.loads == ["a", "a"] and registry.state("a") == "ready")
    call = Call(registry)
    assert call.held.wait(30)
    held.__exit__(None, None, None)
    assert registry.calls("a") == (1, 0)
    assert call.end().served == "a"


def test_an_engine_that_keeps_dying_stays_in_error(machine: Machine, clock: Clock) -> None:
    registry = registry_of(machine, entry("a"), clock=clock)
    registry.start()
    for loads in (1, 2, 3, 4):
        until(registry, lambda: len(machine.loads) == loads and registry.state("a") == "ready")  # noqa: B023
        clock.now += 10
        engine(machine, "a").die()
    until_state(registry, "a", "error")
    assert len(machine.loads) == 4
    clock.now += 200  # 30 s would do for a load that failed; not for this
    with pytest.raises(ApiError, match="model_not_ready") as refused, registry.use("a"):
        pass
    assert int(refused.value.headers["Retry-After"]) == 60
    clock.now += 100
    assert served(registry) == "a"


def test_deaths_far_apart_are_each_forgiven(machine: Machine, clock: Clock) -> None:
    registry = registry_of(machine, entry("a"), clock=clock)
    registry.start()
    for loads in range(1, 8):
        until(registry, lambda: len(machine.loads) == loads and registry.state("a") == "ready")  # noqa: B023
        clock.now += 101
        engine(machine, "a").die()
    until(registry, lambda: len(machine.loads) == 8 and registry.state("a") == "ready")


@pytest.mark.parametrize("restarted", [False, True])
def test_a_default_that_cannot_come_back_gives_way_to_the_one_before(
    machine: Machine, clock: Clock, restarted: bool
) -> None:
    """It dies too often, or its restart fails."""
    registry = registry_of(machine, entry("a", 60), entry("b", 60), clock=clock)
    registry.start()
    until_state(registry, "a", "ready")
    registry.load("b")
    until_state(registry, "b", "ready")
    if restarted:
        machine.fail["b"] = [MemoryError()]
    for loads in (1,) if restarted else (1, 2, 3, 4):
        until(registry, lambda: machine.loads.count("b") == loads and registry.state("b") == "ready")  # noqa: B023
        engine(machine, "b").die()
    until_state(registry, "b", "error")
    until_state(registry, "a", "ready")
    assert registry.selection.chosen == "a"
    assert served(registry) == "a"


def test_an_engine_that_dies_while_it_leaves_is_not_brought_back(machine: Machine) -> None:
    registry = registry_of(machine, entry("a", 60), entry("b", 60))
    registry.start()
    until_state(registry, "a", "ready")
    held = registry.use("a")
    held.__enter__()
    registry.load("b")
    until(registry, lambda: registry._ledger.slot("a").draining, "a draining")
    engine(machine, "a").die()
    until_state(registry, "b", "ready")
    assert registry.state("a") == "error"
    held.__exit__(None, None, None)
    assert machine.loads == ["a", "b"]
    registry.unload("b")
    until_state(registry, "b", "downloaded")
    assert served(registry, "a") == "a"


def test_a_dead_engine_whose_place_was_taken_does_not_take_it_back(machine: Machine) -> None:
    registry = registry_of(machine, entry("a", 60), entry("c", 30), entry("b", 40))
    registry.start()
    until_state(registry, "a", "ready")
    gate = machine.gate("load c").shut()
    registry.load("c")
    assert gate.reached.wait(30)  # the mover is busy
    engine(machine, "a").die()
    until_state(registry, "a", "loading")
    machine.capacity = 80
    gate.set()
    until_state(registry, "c", "ready")
    until_state(registry, "a", "error")
    assert registry.state("c") == "ready"
    assert machine.loads == ["a", "c"]
