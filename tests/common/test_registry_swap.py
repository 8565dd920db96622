"""Models that come and go while calls go on: beside when both fit, else one after the other, and back when it fails."""

from __future__ import annotations

import itertools
import threading

import pytest

from common.errors import ApiError
from common.messages import _
from common.models.registry import Registry
from tests.common.lifecycle_fakes import (
    Call,
    Clock,
    FakeEngine,
    Machine,
    entry,
    registry_of,
    until,
    until_state,
    until_waiting,
)


@pytest.fixture
def machine() -> Machine:
    return Machine(capacity=100)


def started(machine: Machine, *sizes: int, **kwargs: object) -> Registry[FakeEngine]:
    """Models a, b, c… of these sizes; a is chosen and ready."""
    registry = registry_of(machine, *(entry(key, size) for key, size in zip("abcdef", sizes, strict=False)), **kwargs)
    registry.start()
    until_state(registry, "a", "ready")
    return registry


def served(registry: Registry[FakeEngine], name: str | None = None) -> str:
    with registry.use(name) as lease:
        return lease.engine.work()


def test_a_model_that_fits_is_loaded_beside_and_then_is_the_default(machine: Machine) -> None:
    registry = started(machine, 40, 40)
    gate = machine.gate("load b").shut()
    registry.load("b")
    assert gate.reached.wait(5)
    assert registry.selection.chosen == "b"
    assert served(registry) == "a"  # what is ready serves meanwhile
    gate.set()
    until_state(registry, "b", "ready")
    assert served(registry) == "b"
    assert registry.state("a") == "ready"


def test_a_model_that_does_not_fit_beside_waits_for_the_calls_in_flight(machine: Machine) -> None:
    registry = started(machine, 60, 60)
    in_flight = Call(registry)
    assert in_flight.held.wait(5)
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
    assert gate.reached.wait(5)
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
    assert closed.wait(5)
    until_state(registry, "a", "downloaded")
    assert machine.loads == ["a"]
    machine.engines.clear()
    until_state(registry, "b", "ready")


def test_calls_that_do_not_end_make_the_change_be_given_up(machine: Machine) -> None:
    registry = started(machine, 60, 60, drain_s=0.05)
    in_flight = Call(registry)
    assert in_flight.held.wait(5)
    registry.load("b")
    until_state(registry, "b", "error")
    assert served(registry) == "a"
    assert "a" in registry.status("b")["error"]
    assert in_flight.end().served == "a"


def test_other_options_load_a_ready_model_again(machine: Machine) -> None:
    registry = started(machine, 60, options=frozenset({"quantization"}))
    in_flight = Call(registry)
    assert in_flight.held.wait(5)
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


def test_an_option_that_has_no_effect_is_refused_by_name(machine: Machine) -> None:
    registry = started(machine, 60)
    with pytest.raises(ApiError) as refused:
        registry.load("a", {"quantization": "int8"})
    assert (refused.value.status, refused.value.param) == (400, "quantization")


@pytest.mark.parametrize(("sizes", "most"), [((40, 40), 80), ((60, 60), 60)])
@pytest.mark.parametrize("named", [False, True])
def test_no_request_is_lost_while_models_are_switched(
    machine: Machine, sizes: tuple[int, int], most: int, named: bool
) -> None:
    """8 clients, 20 switches; the default, or each model in turn by name, so that requests swap models too."""
    registry = started(machine, *sizes)
    over = threading.Event()
    failures: list[BaseException] = []
    counts = [0] * 8

    def client(number: int) -> None:
        names = itertools.cycle(["a", "b"] if named else [None])
        while not over.is_set():
            try:
                name = next(names)
                answer = served(registry, name)
                assert name is None or answer == name
                counts[number] += 1
            except BaseException as error:  # noqa: BLE001  any failure is what this test looks for
                failures.append(error)
                return

    clients = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(8)]
    for one in clients:
        one.start()
    for key in itertools.islice(itertools.cycle("ba"), 20):
        before = sum(counts)
        registry.load(key)
        until(registry, lambda: registry.state(key) == "ready" or bool(failures), key)  # noqa: B023
        until(registry, lambda: sum(counts) > before + 8 or bool(failures), "answers")  # noqa: B023
    over.set()
    for one in clients:
        one.join(20)
        assert not one.is_alive()
    assert failures == []
    assert machine.most == most
    assert machine.loads.count("b") >= (1 if most == 80 else 10)


def test_who_waited_for_a_model_is_served_before_it_may_leave(machine: Machine) -> None:
    """Turns between models that exclude each other: every load serves those who waited for it."""
    registry = started(machine, 60, 60, 60)
    gate = machine.gate("load b").shut()
    first = [Call(registry, "b") for _ in range(3)]
    assert gate.reached.wait(5)
    until_waiting(registry, "b", 3)
    others = [Call(registry, "c") for _ in range(3)] + [Call(registry, "a") for _ in range(3)]
    until_waiting(registry, "c", 3)
    until_waiting(registry, "a", 3)
    gate.set()
    assert [call.end().served for call in first + others] == ["b"] * 3 + ["c"] * 3 + ["a"] * 3
    assert machine.loads == ["a", "b", "c", "a"]


def test_a_request_lets_a_model_in_demand_serve_as_long_as_it_took_to_load(machine: Machine) -> None:
    clock = Clock()
    registry = started(machine, 60, 60, clock=clock)
    registry._ledger.slot("a").load_seconds = 3600.0
    registry._room._patience = 7200.0
    steady = Call(registry, "a")
    assert steady.held.wait(5)
    other = Call(registry, "b")
    until_waiting(registry, "b")
    until_state(registry, "b", "loading")
    again = Call(registry, "a")
    assert again.held.wait(5)
    assert not registry._ledger.slot("a").draining
    assert again.end().served == "a"
    assert steady.end().served == "a"  # nobody wants it any more: it leaves before its time
    assert other.end().served == "b"


def test_the_default_that_a_request_drove_out_comes_back_with_the_next_call(machine: Machine) -> None:
    registry = started(machine, 60, 60)
    assert served(registry, "b") == "b"
    assert registry.selection.chosen == "a"
    assert served(registry) in {"a", "b"}  # what is ready serves while it is on its way
    until_state(registry, "a", "ready")
    assert served(registry) == "a"
