"""Models that take turns: no call is lost, none waits behind what nobody asks for, and turns are not loads only."""

from __future__ import annotations

import itertools
import threading

import pytest

from common.messages import Text
from common.models.catalogue import ModelEntry
from tests.common.lifecycle_fakes import (
    Call,
    Clock,
    Machine,
    served,
    started,
    until,
    until_state,
    until_waiting,
)


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
        one.join(60)
        assert not one.is_alive()
    assert failures == []
    assert machine.most == most
    assert machine.loads.count("b") >= (1 if most == 80 else 10)


def test_who_waited_for_a_model_is_served_before_it_may_leave(machine: Machine) -> None:
    """Turns between models that exclude each other: every load serves those who waited for it."""
    registry = started(machine, 60, 60, 60)
    gate = machine.gate("load b").shut()
    first = [Call(registry, "b") for _ in range(3)]
    assert gate.reached.wait(30)
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
    assert steady.held.wait(30)
    other = Call(registry, "b")
    until_waiting(registry, "b")
    until_state(registry, "b", "loading")
    again = Call(registry, "a")
    assert again.held.wait(30)
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


def test_a_request_does_not_make_a_busy_model_wait_for_long(machine: Machine) -> None:
    """A person's load waits `drain_s` for the calls in flight; a request's, half the time that calls wait."""
    registry = started(machine, 60, 60, swap_wait_s=2.0)
    in_flight = Call(registry, "a")
    assert in_flight.held.wait(30)
    asked = Call(registry, "b")
    until_state(registry, "b", "error")
    assert served(registry, "a") == "a"
    assert asked.end().error is not None
    assert in_flight.end().served == "a"


def test_a_load_that_nobody_waits_for_any_more_drives_nobody_out(machine: Machine) -> None:
    registry = started(machine, 60, 60, 30)
    gate = machine.gate("load c").shut()
    registry.load("c")
    assert gate.reached.wait(30)
    left = threading.Event()
    asked = Call(registry, "b", gone=left.is_set)  # its turn comes after c's
    until_waiting(registry, "b")
    left.set()
    asked.end()
    gate.set()
    until_state(registry, "c", "ready")
    until_state(registry, "b", "downloaded")
    assert registry.state("a") == "ready"
    assert machine.loads == ["a", "c"]


def test_a_person_hurries_what_a_request_had_asked_for(machine: Machine) -> None:
    """A request would let a, in demand, stay for an hour."""
    registry = started(machine, 60, 60, 30)
    registry._ledger.slot("a").load_seconds = 3600.0
    registry._room._patience = 7200.0
    steady = Call(registry, "a")
    assert steady.held.wait(30)
    gate = machine.gate("load c").shut()
    registry.load("c")
    assert gate.reached.wait(30)
    asked = Call(registry, "b")  # its turn comes after c's
    until_waiting(registry, "b")
    registry.load("b")
    gate.set()
    until(registry, lambda: registry._ledger.slot("a").draining, "a draining")
    assert steady.end().served == "a"
    assert asked.end().served == "b"


def test_what_goes_wrong_on_the_way_back_is_not_the_callers_business(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default is away and another serves; bringing the default back fails, now and again."""
    clock = Clock()
    registry = started(machine, 60, 60, clock=clock)
    served(registry, "b")
    asked = []

    def broken(*_args: object) -> None:
        asked.append(True)
        raise OSError("disk")

    whole = machine.unfit
    monkeypatch.setattr(machine, "unfit", broken)
    assert served(registry) == "b"
    slot = registry._ledger.slot("a")
    until(registry, lambda: slot.retry_at > clock.now, "a pause")
    assert served(registry) == "b"
    assert asked == [True]  # not with every call
    monkeypatch.setattr(machine, "unfit", whole)
    clock.now += 30
    assert served(registry) == "b"
    until_state(registry, "a", "ready")
    assert registry.calls("b") == (0, 0)


def test_the_way_back_is_begun_once(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = started(machine, 60, 60)
    served(registry, "b")
    asked: list[str] = []
    go, whole = threading.Event(), machine.unfit

    def slow(entry: ModelEntry, freed: int = 0) -> Text | None:
        asked.append(threading.current_thread().name)
        assert go.wait(60)
        return whole(entry, freed)

    monkeypatch.setattr(machine, "unfit", slow)
    assert [served(registry) for _ in range(5)] == ["b"] * 5  # a slow look at the memory keeps no call
    go.set()
    until_state(registry, "a", "ready")
    assert asked.count("start-a") == 1
