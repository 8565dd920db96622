"""Everything at once: calls, people, failures and deaths at random. What must hold at every moment does."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from common.errors import ApiError
from common.models.catalogue import ModelEntry
from common.models.registry import Registry
from tests.common.lifecycle_fakes import FakeEngine, Machine, entry, registry_of, served, until

SIZES = {"a": 60, "b": 60, "c": 30, "d": 30, "e": 90, "f": 10}
ACTS = 120


class Unsteady(Machine):
    """One load in ten runs out of memory."""

    def __init__(self, seed: int) -> None:
        super().__init__(capacity=100)
        self.dice: random.Random | None = random.Random(seed)

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> FakeEngine:
        if self.dice is not None and self.dice.random() < 0.1:
            raise MemoryError
        return super().load(entry, options)


def client(registry: Registry[FakeEngine], seed: int, over: threading.Event, wrong: list[object]) -> None:
    dice = random.Random(seed)
    while not over.is_set():
        name = dice.choice([None, None, *SIZES])
        try:
            with registry.use(name, lambda: dice.random() < 0.05) as lease:
                over.wait(dice.random() * 0.003)
                if not lease.engine.dead:
                    lease.engine.work()
        except ApiError as error:
            if error.code not in {"model_not_ready", "client_closed_request"}:
                wrong.append(error)
        except BaseException as error:  # noqa: BLE001  what this test looks for
            wrong.append(error)


def person(registry: Registry[FakeEngine], machine: Machine, seed: int, wrong: list[object]) -> None:
    dice = random.Random(seed)
    for _act in range(ACTS):
        key = dice.choice(list(SIZES))
        try:
            match dice.choice(["load", "load", "unload", "cancel", "delete", "look", "kill"]):
                case "load":
                    registry.load(key, dice.choice([None, None, {"quantization": "int8"}, {"quantization": "none"}]))
                case "unload":
                    registry.unload(key)
                case "cancel":
                    registry.cancel(key)
                case "delete":
                    machine.here.discard("d")
                    machine.downloads.pop("d", None)
                case "look":
                    registry.snapshot()
                case "kill":
                    for engine in machine.engines[:1]:
                        engine.die()
        except BaseException as error:  # noqa: BLE001  none of this may be refused
            wrong.append(error)
        threading.Event().wait(dice.random() * 0.01)


def reader(registry: Registry[FakeEngine], wrong: list[object]) -> None:
    """Each move begins where the one before it ended."""
    last: dict[str, str] = {}
    for name, data in registry.events():
        if name == "state":
            if last.get(data["key"], data["previous"]) != data["previous"]:
                wrong.append((last, data))
            last[data["key"]] = data["state"]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_storm(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "frigo.models")
    machine = Unsteady(seed)
    registry = registry_of(
        machine,
        *(entry(key, size) for key, size in SIZES.items()),
        ttl_s=0.05,
        swap_wait_s=1.0,
        drain_s=0.3,
        options=frozenset({"quantization"}),
    )
    registry._room._reclaim = 0.2
    over, wrong = threading.Event(), list[object]()
    clients = [
        threading.Thread(target=client, args=(registry, seed * 100 + n, over, wrong), daemon=True) for n in range(8)
    ]
    people = [
        threading.Thread(target=person, args=(registry, machine, seed * 7 + n, wrong), daemon=True) for n in (0, 1)
    ]
    watching = threading.Thread(target=reader, args=(registry, wrong), daemon=True)
    registry.start()
    for one in [watching, *clients, *people]:
        one.start()
    for one in people:
        one.join(60)
    over.set()
    for one in [*people, *clients]:
        one.join(30)
        assert not one.is_alive(), "somebody hangs"
    assert wrong == []
    assert [record for record in caplog.records if record.message.startswith("bug")] == []
    assert machine.most <= machine.capacity

    machine.dice = None  # after the storm: all of it still works
    for key in SIZES:
        registry._ledger.slot(key).deaths.clear()
        loads = machine.loads.count(key)
        registry.load(key)
        until(registry, lambda: registry.state(key) == "ready" or machine.loads.count(key) > loads, key)  # noqa: B023
        assert served(registry, key) == key
        assert registry.calls(key)[1] == 0
    registry.close()
    watching.join(30)
    assert not watching.is_alive()
    until(registry, lambda: machine.engines == [])
