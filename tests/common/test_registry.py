"""The life of a model: states, leases, refusals, downloads, and events."""

from __future__ import annotations

import itertools
import threading

import pytest

from common.errors import ApiError
from common.messages import _
from common.models.catalogue import Catalogue
from common.models.lifecycle.states import MOVES, IllegalMoveError, Rate, Slot
from common.models.registry import Registry, Selection, State
from tests.common.lifecycle_fakes import Call, Clock, FakeEngine, Machine, entry, registry_of, until, until_state

STATES: tuple[State, ...] = ("idle", "downloading", "downloaded", "loading", "ready", "unloading", "error")


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


@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATES, STATES)))
def test_a_move_the_machine_does_not_have_is_impossible(before: State, after: State) -> None:
    slot = Slot[FakeEngine](entry("mini"), before)
    if after == "error" or after in MOVES[before]:
        slot.move(after)
        assert slot.state == after
    else:
        with pytest.raises(IllegalMoveError):
            slot.move(after)
        assert slot.state == before


def test_the_moves_are_those_of_the_contract() -> None:
    line: list[State] = ["idle", "downloading", "downloaded", "loading", "ready", "unloading", "idle"]
    assert all(after in MOVES[before] for before, after in itertools.pairwise(line))
    assert "ready" not in MOVES["downloaded"] | MOVES["idle"] | MOVES["error"] | MOVES["unloading"]


def test_what_is_on_disk_starts_downloaded(registry: Registry[FakeEngine]) -> None:
    assert registry.state("mini") == "downloaded"
    assert registry.state("gpt2") == "idle"


def test_a_call_that_names_a_model_makes_it_load(registry: Registry[FakeEngine], machine: Machine) -> None:
    gate = machine.gate("load gpt2").shut()
    with pytest.raises(ApiError, match="model_not_ready"), registry.use("gpt2"):
        pass
    gate.set()
    until_state(registry, "gpt2", "ready")
    with registry.use("gpt2") as lease:
        assert lease.entry.key == "gpt2"
    assert registry.selection.chosen == "mini"  # a mere request chooses nothing


def test_no_name_gets_what_is_ready(registry: Registry[FakeEngine], machine: Machine) -> None:
    gate = machine.gate("load mini").shut()
    registry.start()
    with pytest.raises(ApiError, match="model_not_ready"), registry.use("gpt2"):
        pass
    gate.set()
    until_state(registry, "gpt2", "ready")
    registry.unload("mini")
    until_state(registry, "mini", "downloaded")
    for name in (None, "", "default", "Default"):
        with registry.use(name) as lease:
            assert lease.entry.key == "gpt2"
    registry.load("petit")
    until_state(registry, "mini", "ready")
    with registry.use(None) as lease:
        assert lease.entry.key == "mini"


def test_unknown_names_are_404_and_list_what_there_is(registry: Registry[FakeEngine]) -> None:
    for ask in (lambda: registry.use("gpt5").__enter__(), lambda: registry.load("gpt5"), lambda: registry.cancel("x")):
        with pytest.raises(ApiError) as caught:
            ask()
        assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")
        assert "gpt2" in str(caught.value.message)


def test_unload_waits_for_the_call_in_flight(registry: Registry[FakeEngine], machine: Machine) -> None:
    registry.start()
    until_state(registry, "mini", "ready")
    call = Call(registry, "petit")
    assert call.held.wait(30)
    assert registry.unload("mini")["state"] == "unloading"
    assert not machine.engines[0].closed
    assert call.end().served == "mini"
    until_state(registry, "mini", "downloaded")
    assert machine.engines == []


def test_a_load_asked_while_unloading_follows_it(registry: Registry[FakeEngine], machine: Machine) -> None:
    registry.start()
    until_state(registry, "mini", "ready")
    call = Call(registry, "mini")
    assert call.held.wait(30)
    registry.unload("mini")
    registry.load("mini")
    call.end()
    until(registry, lambda: machine.loads == ["mini", "mini"] and registry.state("mini") == "ready")


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ApiError(400, "bad", _("fichier abîmé")), "fichier abîmé"),
        (MemoryError(), "mémoire"),
        (RuntimeError("secret"), "RuntimeError"),
    ],
)
def test_a_failure_is_a_state_with_its_reason(
    registry: Registry[FakeEngine], machine: Machine, failure: Exception, words: str
) -> None:
    machine.fail["mini"] = [failure]
    registry.start()
    until_state(registry, "mini", "error")
    status = registry.status("mini")
    assert words in status["error"]
    assert "secret" not in status["error"]
    with pytest.raises(ApiError, match="model_not_ready") as refused, registry.use("mini"):
        pass
    assert words in str(refused.value.message)
    registry.load("mini")
    until_state(registry, "mini", "ready")


def test_what_does_not_fit_is_refused_before_its_first_byte(registry: Registry[FakeEngine], machine: Machine) -> None:
    for ask in (lambda: registry.load("huge"), lambda: registry.use("huge").__enter__()):
        with pytest.raises(ApiError) as refused:
            ask()
        assert (refused.value.status, refused.value.code) == (507, "model_does_not_fit")
    assert machine.downloads == {}
    assert registry.state("huge") == "idle"
    assert registry.selection.chosen == "mini"
    status = registry.status("huge")
    assert status["fits"] is False
    assert "999" in status["reason"]


def test_a_chosen_model_that_does_not_fit_leaves_the_service_up(machine: Machine) -> None:
    registry = registry_of(machine, entry("huge", 999))
    registry.start()
    assert registry.ready() == {"model": "error"}
    assert "999" in registry.status("huge")["error"]


def test_a_stand_in_serves_while_the_chosen_model_is_fetched(machine: Machine) -> None:
    catalogue = Catalogue([entry("gpt2", 30), entry("mini", 30)])
    registry = Registry(catalogue, machine, Selection("gpt2", _("le meilleur"), meanwhile="mini"), swap_wait_s=20)
    gate = machine.gate("download gpt2").shut()
    registry.start()
    with registry.use() as lease:
        assert lease.entry.key == "mini"
    gate.set()
    until_state(registry, "gpt2", "ready")
    with registry.use() as lease:
        assert lease.entry.key == "gpt2"
    until_state(registry, "mini", "downloaded")  # its place is given back


def test_a_stand_in_that_a_call_names_stays(machine: Machine) -> None:
    catalogue = Catalogue([entry("gpt2", 30), entry("mini", 30)])
    registry = Registry(catalogue, machine, Selection("gpt2", _("le meilleur"), meanwhile="mini"), swap_wait_s=20)
    gate = machine.gate("download gpt2").shut()
    registry.start()
    with registry.use("mini"):
        gate.set()
        until_state(registry, "gpt2", "ready")
    with registry.use("mini") as lease:
        assert lease.entry.key == "mini"
    assert machine.loads == ["mini", "gpt2"]


# --- views ---------------------------------------------------------------------------------------------------


def test_events_tell_every_move_in_order(registry: Registry[FakeEngine]) -> None:
    events = registry.events()
    name, first = next(events)
    assert (name, first["selection"]["chosen"]) == ("models", "mini")
    registry.load("gpt2")
    until_state(registry, "gpt2", "ready")
    registry.unload("gpt2")
    until_state(registry, "gpt2", "downloaded")
    moves = []
    for name, data in events:
        if name == "state":
            moves.append((data["key"], data["previous"], data["state"]))
        elif moves[-1][1:] == ("idle", "downloaded"):
            break
    line = ["idle", "downloading", "downloaded", "loading", "ready", "unloading", "idle", "downloaded"]
    assert moves == [("gpt2", before, after) for before, after in itertools.pairwise(line)]
    assert next(model for model in data["models"] if model["key"] == "gpt2")["state"] == "downloaded"


def test_events_tell_the_reason_of_an_error_in_the_readers_language(
    registry: Registry[FakeEngine], machine: Machine
) -> None:
    machine.fail["mini"] = [MemoryError()]
    events = registry.events("en")
    next(events)
    registry.start()
    error = next(data["error"] for name, data in events if name == "state" and data["state"] == "error")
    assert error == registry.status("mini", "en")["error"]


def test_events_end_when_the_reader_leaves_or_the_service_stops(registry: Registry[FakeEngine]) -> None:
    left = threading.Event()
    ended = []

    def read(gone: threading.Event) -> None:
        for _event in registry.events("fr", gone.is_set):
            started.set()
        ended.append(True)

    for stop in (lambda: (left.set(), registry.wake()), registry.close):
        started = threading.Event()
        thread = threading.Thread(target=read, args=(left if not ended else threading.Event(),), daemon=True)
        thread.start()
        assert started.wait(30)
        stop()
        thread.join(30)
        assert not thread.is_alive()
    assert ended == [True, True]


def test_progress_is_told_now_and_then_and_states_are_kept(machine: Machine) -> None:
    clock = Clock()
    registry = registry_of(machine, entry("a"), here=False, clock=clock)
    ledger = registry._ledger
    slot = ledger.slot("a")
    before = ledger.version
    with ledger.changed:
        for done in range(1000):
            ledger.progress(slot, done, 2000)
        assert ledger.version[1] - before[1] == 1
        clock.now += 1
        ledger.progress(slot, 1001, 2000)
        ledger.progress(slot, 2000, 2000)
    assert ledger.version[1] - before[1] == 3


def test_a_ready_model_shows_what_it_takes(registry: Registry[FakeEngine]) -> None:
    assert registry.status("mini")["resident_bytes"] is None
    registry.start()
    until_state(registry, "mini", "ready")
    assert registry.status("mini")["resident_bytes"] == 10
    assert registry.snapshot()["selection"]["chosen"] == "mini"
    assert registry.ready() == {"model": "ready"}


@pytest.mark.parametrize(
    ("samples", "left", "seconds"),
    [
        ([], 10, None),
        ([(0, 5)], 10, None),
        ([(0, 0), (0.5, 50)], 10, None),  # too short a measure
        ([(0, 100), (2, 100)], 10, None),  # nothing comes
        ([(0, 0), (2, 20)], 10, 1.0),
        ([(0, 0), (100, 0), (102, 20), (104, 40), (121, 210)], 100, 10.0),  # the last seconds count
        ([(0, 500), (1, 900), (2, 0), (4, 10)], 10, 2.0),  # begun again
    ],
)
def test_an_eta_comes_from_a_measured_rate_or_not_at_all(
    samples: list[tuple[float, int]], left: int, seconds: float | None
) -> None:
    rate = Rate()
    for now, done in samples:
        rate.add(now, done)
    assert rate.seconds_for(left) == seconds


# --- the end -------------------------------------------------------------------------------------------------


def test_close_stops_everything(machine: Machine) -> None:
    registry = registry_of(machine, entry("a", 60), entry("b", 60), entry("c", 10), ttl_s=1000)
    machine.here.discard("c")
    registry.start()
    until_state(registry, "a", "ready")
    holding = registry.use("a")
    holding.__enter__()
    machine.gate("download c").shut()
    registry.load("b")  # waits for the call in flight
    waiting = Call(registry, "b")
    until(registry, lambda: registry._ledger.slot("b").waiting == 1)
    registry.close()
    waiting.join(30)
    assert waiting.error is not None
    assert (waiting.error.status, waiting.error.code) == (503, "service_stopping")
    assert machine.engines == []
    names = {thread.name for thread in threading.enumerate() if thread.is_alive()}
    assert registry._mover._thread is not None
    assert not registry._mover._thread.is_alive(), names
    with pytest.raises(ApiError), registry.use("a"):
        pass
    holding.__exit__(None, None, None)
    registry.close()


def test_an_engine_that_is_ready_after_the_end_is_closed(machine: Machine) -> None:
    registry = registry_of(machine, entry("a", 60))
    gate = machine.gate("load a").shut()
    registry.start()
    assert gate.reached.wait(30)
    closing = threading.Thread(target=registry.close, daemon=True)
    closing.start()
    until(registry, lambda: registry._ledger.closed)
    gate.set()
    closing.join(30)
    assert not closing.is_alive()
    assert machine.engines == []


def test_an_engine_that_is_ready_long_after_the_end_is_closed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.models.registry._CLOSE_SECONDS", 0.01)
    registry = registry_of(machine, entry("a", 60))
    gate = machine.gate("load a").shut()
    registry.start()
    assert gate.reached.wait(30)
    registry.close()
    gate.set()
    until_state(registry, "a", "downloaded")
    until(registry, lambda: machine.engines == [])


def test_close_ends_a_download(machine: Machine) -> None:
    registry = registry_of(machine, entry("a", 60), here=False)
    gate = machine.gate("download a").shut()
    registry.start()
    assert gate.reached.wait(30)
    closing = threading.Thread(target=registry.close, daemon=True)
    closing.start()
    until(registry, lambda: registry._ledger.closed)
    gate.set()
    closing.join(30)
    assert not closing.is_alive()
    assert registry.state("a") == "idle"
    assert not any(thread.name == "download-a" for thread in threading.enumerate())
