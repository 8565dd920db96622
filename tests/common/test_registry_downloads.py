"""Models being fetched: cancelled, resumed, asked for twice, and several at once."""

from __future__ import annotations

import threading

import pytest

from common.errors import ApiError
from common.messages import _
from common.models.registry import Registry
from tests.common.lifecycle_fakes import Call, FakeEngine, Machine, entry, registry_of, until, until_state


@pytest.fixture
def machine() -> Machine:
    machine = Machine()
    machine.here.add("mini")
    return machine


@pytest.fixture
def registry(machine: Machine) -> Registry[FakeEngine]:
    """mini is chosen, and on this disk; gpt2 is not; huge fits nowhere. Calls wait for nothing."""
    return registry_of(
        machine, entry("mini", 10, "petit"), entry("gpt2", 10), entry("huge", 999), here=False, swap_wait_s=0
    )


def test_a_download_is_resumed_after_it_was_cancelled(registry: Registry[FakeEngine], machine: Machine) -> None:
    gate = machine.gate("download gpt2").shut()
    registry.load("gpt2")
    assert gate.reached.wait(30)
    machine.downloads["gpt2"] = 5
    registry.cancel("gpt2")
    gate.set()
    until_state(registry, "gpt2", "idle")
    assert registry.selection.chosen == "gpt2"  # nothing has served yet: there is no default to go back to
    with pytest.raises(ApiError, match="model_not_ready") as refused, registry.use("gpt2"):
        pass
    assert refused.value.extra["model"]["state"] == "idle"  # a mere request does not undo what a person did
    assert int(refused.value.headers["Retry-After"]) > 20
    registry.load("gpt2")
    until_state(registry, "gpt2", "ready")
    assert machine.downloads["gpt2"] == 10


@pytest.mark.parametrize("action", ["cancel", "unload"])
def test_cancelling_the_download_of_a_new_default_keeps_the_old_one(
    registry: Registry[FakeEngine], machine: Machine, action: str
) -> None:
    registry.start()
    until_state(registry, "mini", "ready")
    gate = machine.gate("download gpt2").shut()
    registry.load("gpt2")
    assert gate.reached.wait(30)
    getattr(registry, action)("gpt2")
    gate.set()
    until_state(registry, "gpt2", "idle")
    assert registry.selection.chosen == "mini"
    assert machine.loads == ["mini"]


def test_a_model_asked_for_again_while_its_download_stops_is_fetched(
    registry: Registry[FakeEngine], machine: Machine
) -> None:
    gate = machine.gate("download gpt2").shut()
    registry.download("gpt2")
    assert gate.reached.wait(30)
    registry.cancel("gpt2")
    registry.load("gpt2")
    gate.set()
    until_state(registry, "gpt2", "ready")


def test_a_download_taken_up_again_can_be_cancelled_again(registry: Registry[FakeEngine], machine: Machine) -> None:
    gate = machine.gate("download gpt2").shut()
    registry.download("gpt2")
    assert gate.reached.wait(30)
    registry.cancel("gpt2")
    registry.load("gpt2")
    stopped = gate.reached = threading.Event()
    gate.set()  # the first one stops, the next begins
    gate.clear()
    assert stopped.wait(30)
    registry.cancel("gpt2")
    gate.set()
    until_state(registry, "gpt2", "idle")


def test_a_load_asked_during_a_download_follows_it(registry: Registry[FakeEngine], machine: Machine) -> None:
    gate = machine.gate("download gpt2").shut()
    registry.download("gpt2")
    assert gate.reached.wait(30)
    registry.load("gpt2")
    registry.load("gpt2")
    gate.set()
    until_state(registry, "gpt2", "ready")
    assert machine.loads == ["gpt2"]


def test_different_models_are_fetched_at_once_and_each_only_once(machine: Machine) -> None:
    registry = registry_of(machine, *(entry(key, 10) for key in "abc"), here=False)
    gates = [machine.gate(f"download {key}").shut() for key in "abc"]
    for key in "abcabc":
        registry.download(key)
    assert all(gate.reached.wait(30) for gate in gates)
    assert sum(thread.name.startswith("download-") for thread in threading.enumerate()) >= 3
    for gate in gates:
        gate.set()
    for key in "abc":
        until_state(registry, key, "downloaded")
    assert machine.downloads == {"a": 10, "b": 10, "c": 10}


def test_a_load_can_be_given_up(machine: Machine) -> None:
    """While it waits for room, while it loads; what had to leave comes back."""
    registry = registry_of(machine, entry("a", 60), entry("b", 60))
    registry.start()
    until_state(registry, "a", "ready")
    call = Call(registry)
    assert call.held.wait(30)
    registry.load("b")
    until(registry, lambda: registry._ledger.slot("a").draining, "a draining")
    registry.cancel("b")
    until_state(registry, "b", "downloaded")
    assert call.end().served == "a"
    assert machine.loads == ["a"]
    gate = machine.gate("load b").shut()
    registry.load("b")
    assert gate.reached.wait(30)
    registry.unload("b")
    gate.set()
    until_state(registry, "b", "downloaded")
    until_state(registry, "a", "ready")
    assert registry.selection.chosen == "a"
    assert [engine.entry.key for engine in machine.engines] == ["a"]


def test_a_download_that_fails_says_so_and_the_default_stays(
    registry: Registry[FakeEngine], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.start()
    until_state(registry, "mini", "ready")

    def refused(*_args: object) -> None:
        raise ApiError(404, "hub_not_found", _("absent du hub"))

    monkeypatch.setattr(machine, "download", refused)
    registry.load("gpt2")
    until_state(registry, "gpt2", "error")
    assert registry.status("gpt2")["error"] == "absent du hub"
    assert registry.selection.chosen == "mini"
