"""Models that come and go while calls go on: beside when both fit, else one after the other, and back when it fails."""

from __future__ import annotations

import threading

import pytest

from common.errors import ApiError
from common.messages import _
from tests.common.lifecycle_fakes import (
    Call,
    Clock,
    FakeEngine,
    Machine,
    entry,
    registry_of,
    served,
    started,
    until,
    until_state,
    until_waiting,
)


def test_a_model_that_fits_is_loaded_beside_and_then_is_the_default(machine: Machine) -> None:
    registry = started(machine, 40, 40)
    gate = machine.gate("load b").shut()
    registry.load("b")
    assert gate.reached.wait(30)
    assert registry.selection.chosen == "b"
    assert served(registry) == "a"  # what is ready serves meanwhile
    gate.set()
    until_state(registry, "b", "ready")
    assert served(registry) == "b"
    assert registry.state("a") == "ready"


def test_a_model_that_does_not_fit_beside_waits_for_the_calls_in_flight(machine: Machine) -> None:
    registry = started(machine, 60, 60)
    in_flight = Call(registry)
    assert in_flight.held.wait(30)
    registry.load("b")
    until(registry, lambda: registry._ledger.slot("a").draining, "a draining")
    late = Call(registry)
    until_waiting(registry, "b")
    assert machine.loads == ["a"]
    assert in_flight.end().served == "a"
    assert late.end().served == "b"
    assert machine.most == 60
    assert registry.state("a") == "downloaded"


def test_only_as_many_leave_as_needed_and_the_least_recently_used_first(machine: Machine) -> None:
    clock = Clock()
    registry = registry_of(machine, *(entry(key, 25) for key in "abcd"), entry("big", 45), clock=clock)
    for key in "abcd":
        clock.now += 1
        served(registry, key)
    clock.now += 1
    served(registry, "a")  # b is now the oldest, then c
    registry.load("big")
    until_state(registry, "big", "ready")
    assert {key: registry.state(key) for key in "abcd"} == {
        "a": "ready", "b": "downloaded", "c": "downloaded", "d": "ready",
    }  # fmt: skip


def test_a_small_model_does_not_leave_when_a_bigger_one_makes_room_enough(machine: Machine) -> None:
    clock = Clock()
    registry = registry_of(machine, entry("small", 10), entry("large", 80), entry("big", 85), clock=clock)
    for key in ("small", "large"):
        clock.now += 1
        served(registry, key)
    registry.load("big")
    until_state(registry, "big", "ready")
    assert registry.state("small") == "ready"
    assert registry.state("large") == "downloaded"


def test_what_can_never_fit_is_refused_and_disturbs_nobody(machine: Machine) -> None:
    registry = started(machine, 60, 200)
    in_flight = Call(registry)
    for ask in (lambda: registry.load("b"), lambda: served(registry, "b")):
        with pytest.raises(ApiError) as refused:
            ask()
        assert (refused.value.status, refused.value.code) == (507, "model_does_not_fit")
        assert "200" in str(refused.value.message)
        assert "100" in str(refused.value.message)
    assert in_flight.end().served == "a"
    assert registry.selection.chosen == "a"
    assert machine.loads == ["a"]


@pytest.mark.parametrize(
    "failure",
    [MemoryError(), ApiError(503, "engine_died", _("le processus a été tué")), RuntimeError("CUDA out of memory")],
)
@pytest.mark.parametrize("size", [30, 60])
def test_a_load_that_fails_brings_the_previous_model_back(machine: Machine, failure: Exception, size: int) -> None:
    """Beside (30) or in its place (60)."""
    registry = started(machine, 60, size)
    machine.fail["b"] = [failure]
    gate = machine.gate("load b").shut()
    registry.load("b")
    assert gate.reached.wait(30)
    waiting = [Call(registry) for _ in range(4)] if size == 60 else []
    if waiting:
        until_waiting(registry, "b", 4)
    gate.set()
    until_state(registry, "b", "error")
    assert [call.end().served for call in waiting] == ["a"] * len(waiting)
    assert served(registry) == "a"
    assert registry.selection.chosen == "a"
    assert "b" in str(registry.selection.why)
    assert registry.status("b")["error"]
    registry.load("b")
    until_state(registry, "b", "ready")
    assert registry.status("b")["error"] is None


def test_everything_that_left_for_a_load_that_failed_comes_back(machine: Machine) -> None:
    registry = started(machine, 40, 40, 90)
    served(registry, "b")
    machine.fail["c"] = [MemoryError()]
    registry.load("c")
    until_state(registry, "c", "error")
    until_state(registry, "a", "ready")
    until_state(registry, "b", "ready")


def test_memory_that_does_not_come_back_is_not_taken_for_free(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = started(machine, 60, 60)
    monkeypatch.setattr(registry._room, "_reclaim", 0.05)

    def leak(self: FakeEngine) -> None:
        machine.give_back(self)
        machine.lost = 41

    monkeypatch.setattr(FakeEngine, "close", leak)
    registry.load("b")
    until_state(registry, "b", "error")
    assert "41" not in machine.loads
    assert machine.loads.count("b") == 0
    machine.lost = 0
    until_state(registry, "a", "ready")


def test_memory_that_comes_back_late_is_waited_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = started(machine, 60, 60)
    closed = threading.Event()
    monkeypatch.setattr(FakeEngine, "close", lambda _self: closed.set())
    registry.load("b")
    assert closed.wait(30)
    until_state(registry, "a", "downloaded")
    assert machine.loads == ["a"]
    machine.engines.clear()
    until_state(registry, "b", "ready")


def test_calls_that_do_not_end_make_the_change_be_given_up(machine: Machine) -> None:
    registry = started(machine, 60, 60, drain_s=0.05)
    in_flight = Call(registry)
    assert in_flight.held.wait(30)
    registry.load("b")
    until_state(registry, "b", "error")
    assert served(registry) == "a"
    assert "a" in registry.status("b")["error"]
    assert in_flight.end().served == "a"


def test_other_options_load_a_ready_model_again(machine: Machine) -> None:
    registry = started(machine, 60, options=frozenset({"quantization"}))
    in_flight = Call(registry)
    assert in_flight.held.wait(30)
    registry.load("a", {"quantization": "int8"})
    until(registry, lambda: registry._ledger.slot("a").draining, "a draining")
    late = Call(registry, "a")
    until_waiting(registry, "a")
    assert in_flight.end().served == "a"
    assert late.end().served == "a"
    assert [engine.options for engine in machine.engines] == [{"quantization": "int8"}]
    assert machine.most == 60
    registry.load("a", {"quantization": "int8"})
    registry.load("a")
    assert served(registry) == "a"
    assert machine.loads == ["a", "a"]


def test_options_that_fail_leave_the_model_as_it_was(machine: Machine) -> None:
    registry = started(machine, 60, options=frozenset({"quantization"}))
    machine.fail["a"] = [ApiError(400, "unsupported", _("int8 impossible"))]
    registry.load("a", {"quantization": "int8"})
    until(registry, lambda: registry.status("a")["error"] == "int8 impossible" and registry.state("a") == "ready")
    assert registry.status("a")["options"] == {}
    assert registry.selection.chosen == "a"
    registry.load("a")
    assert served(registry) == "a"
    assert machine.loads == ["a"] * 3


def test_options_of_a_load_that_failed_are_not_those_of_the_next(machine: Machine) -> None:
    registry = started(machine, 40, 40, options=frozenset({"quantization"}))
    machine.fail["b"] = [ApiError(400, "unsupported", _("int8 impossible"))]
    registry.load("b", {"quantization": "int8"})
    until_state(registry, "b", "error")
    registry.load("b")
    until_state(registry, "b", "ready")
    assert registry.status("b")["options"] == {}


def test_an_option_that_has_no_effect_is_refused_by_name(machine: Machine) -> None:
    registry = started(machine, 60)
    with pytest.raises(ApiError) as refused:
        registry.load("a", {"quantization": "int8"})
    assert (refused.value.status, refused.value.param) == (400, "quantization")


def test_what_fits_once_others_have_left_is_shown_to_fit(machine: Machine) -> None:
    registry = started(machine, 60, 60, 120)
    shown = {model["key"]: model for model in registry.snapshot()["models"]}
    assert shown["b"]["fits"] is True
    assert shown["b"]["reason"] is None
    assert shown["c"]["fits"] is False
    assert registry.status("b")["fits"] is True
    assert registry.status("c")["fits"] is False


def test_unloading_the_default_makes_the_other_ready_model_the_default(machine: Machine) -> None:
    registry = started(machine, 40, 40)
    served(registry, "b")
    registry.unload("a")
    until_state(registry, "a", "downloaded")
    assert registry.selection.chosen == "b"
    assert served(registry) == "b"
    assert registry.state("a") == "downloaded"
    registry.unload("b")
    until_state(registry, "b", "downloaded")
    assert served(registry) == "b"  # the last one stays the default, and comes back when asked


def test_a_load_given_up_and_asked_for_again_is_done(machine: Machine) -> None:
    registry = started(machine, 60, 60)
    call = Call(registry)
    assert call.held.wait(30)
    registry.load("b")
    until(registry, lambda: registry._ledger.slot("a").draining, "a draining")
    registry.cancel("b")
    registry.load("b")
    call.end()
    until_state(registry, "b", "ready")
    assert registry.selection.chosen == "b"


def test_an_engine_that_dies_before_its_reload_is_reloaded_as_asked(machine: Machine) -> None:
    registry = started(machine, 60, options=frozenset({"quantization"}))
    held = registry.use("a")
    held.__enter__()
    registry.load("a", {"quantization": "int8"})
    until(registry, lambda: registry._ledger.slot("a").draining, "a draining")
    machine.engines[0].die()
    until_state(registry, "a", "ready")
    held.__exit__(None, None, None)
    assert [engine.options for engine in machine.engines] == [{"quantization": "int8"}]


def test_memory_that_an_unload_is_about_to_give_back_is_waited_for(machine: Machine) -> None:
    registry = started(machine, 60, 60)
    in_flight = Call(registry, "a")
    assert in_flight.held.wait(30)
    registry.unload("a")
    registry.load("b")
    until_state(registry, "b", "loading")
    assert in_flight.end().served == "a"
    until_state(registry, "b", "ready")
