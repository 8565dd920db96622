"""A machine made of numbers: models have sizes, engines take memory, loads and downloads wait at gates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from common.errors import ApiError
from common.messages import Text, _
from common.models.catalogue import Catalogue, ModelEntry
from common.models.registry import Registry, Selection

PATIENCE = 60.0  # how long a test waits for what must happen


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Gate(threading.Event):
    """Open unless `shut`; `reached` is set when somebody comes."""

    def __init__(self) -> None:
        super().__init__()
        self.set()
        self.reached = threading.Event()

    def shut(self) -> Gate:
        self.clear()
        self.reached.clear()
        return self

    def pass_through(self) -> None:
        self.reached.set()
        assert self.wait(PATIENCE), "a gate was left shut"


class FakeEngine:
    """Holds memory of the machine until closed; refuses to work once closed."""

    def __init__(self, machine: Machine, entry: ModelEntry, options: Mapping[str, Any]) -> None:
        self.machine = machine
        self.entry = entry
        self.options = options
        self.closed = False
        self.dead = False
        self.died: Callable[[Text], None] | None = None
        machine.take(self)

    def work(self) -> str:
        assert not self.closed, f"{self.entry.key} was closed under a call"
        return self.entry.key

    def watch(self, died: Callable[[Text], None]) -> None:
        with self.machine.lock:
            self.died = died
            dead = self.dead
        if dead:
            died(_("tué par le système"))

    def die(self) -> None:
        """Stop as a process that was killed does: its memory is back, its watcher is told."""
        self.machine.give_back(self)
        with self.machine.lock:
            self.dead = True
            died = self.died
        if died is not None:
            died(_("tué par le système"))

    def memory_bytes(self) -> int:
        return self.entry.parameters if self in self.machine.engines else 0

    def close(self) -> None:
        self.closed = True
        self.machine.give_back(self)


class Machine:
    """The loader, and the memory it has."""

    def __init__(self, capacity: int = 100) -> None:
        self.capacity = capacity
        self.here: set[str] = set()
        self.engines: list[FakeEngine] = []
        self.loads: list[str] = []
        self.fail: dict[str, list[Exception]] = {}  # what the next loads of a model raise
        self.gates: dict[str, Gate] = {}
        self.downloads: dict[str, int] = {}
        self.most = 0
        self.lost = 0  # bytes that a leak holds
        self.lock = threading.Lock()

    def gate(self, name: str) -> Gate:
        """The gate of a "load KEY" or "download KEY"."""
        return self.gates.setdefault(name, Gate())

    def take(self, engine: FakeEngine) -> None:
        with self.lock:
            self.engines.append(engine)
            self.most = max(self.most, self.used)
            if self.used > self.capacity:
                self.engines.remove(engine)
                raise MemoryError

    def give_back(self, engine: FakeEngine) -> None:
        with self.lock:
            if engine in self.engines:
                self.engines.remove(engine)

    @property
    def used(self) -> int:
        return self.lost + sum(engine.entry.parameters for engine in self.engines)

    def downloaded(self, entry: ModelEntry) -> bool:
        return entry.key in self.here

    def download(self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        done = self.downloads.get(entry.key, 0)
        while done < 10:
            progress(done, 10)
            self.gate(f"download {entry.key}").pass_through()
            if cancelled():
                raise InterruptedError
            done += 5
            self.downloads[entry.key] = done
        progress(10, 10)
        self.here.add(entry.key)

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> FakeEngine:
        self.loads.append(entry.key)
        self.gate(f"load {entry.key}").pass_through()
        if self.fail.get(entry.key):
            raise self.fail[entry.key].pop(0)
        return FakeEngine(self, entry, options)

    def need_bytes(self, entry: ModelEntry) -> int | None:
        return entry.parameters

    def unfit(self, entry: ModelEntry, freed: int = 0) -> Text | None:
        left = self.capacity - self.used + freed
        if entry.parameters <= left:
            return None
        return _("%(model)s demande %(need)s, il reste %(left)s", model=entry.key, need=entry.parameters, left=left)


def entry(key: str, size: int = 60, *aliases: str) -> ModelEntry:
    return ModelEntry(key=key, aliases=aliases, family="llama", parameters=size, licence="MIT")


def registry_of(machine: Machine, *entries: ModelEntry, here: bool = True, **kwargs: Any) -> Registry[FakeEngine]:
    """Models on this disk (unless not `here`), the first chosen, nothing started."""
    if here:
        machine.here |= {one.key for one in entries}
    kwargs.setdefault("swap_wait_s", PATIENCE)
    return Registry(Catalogue(list(entries)), machine, Selection(entries[0].key, _("pour le test")), **kwargs)


def until(registry: Registry[FakeEngine], condition: Callable[[], bool], what: str = "") -> None:
    """Wait for a condition, looking again whenever something changes."""
    deadline = time.monotonic() + PATIENCE
    ledger = registry._ledger
    with ledger.changed:
        while not condition():
            states = {slot.entry.key: slot.state for slot in ledger}
            assert time.monotonic() < deadline, f"{what} never came: {states}"
            ledger.changed.wait(0.05)


def until_state(registry: Registry[FakeEngine], key: str, state: str) -> None:
    until(registry, lambda: registry.state(key) == state, f"{key} {state}")


def until_waiting(registry: Registry[FakeEngine], key: str, calls: int = 1) -> None:
    until(registry, lambda: registry.calls(key)[1] == calls, f"{calls} waiting for {key}")


class Call(threading.Thread):
    """A request in a thread of its own: `held` once it has its model, ends when `release` is set."""

    def __init__(self, registry: Registry[FakeEngine], name: str | None = None, **kwargs: Any) -> None:
        super().__init__(daemon=True)
        self.registry = registry
        self.asked = name
        self.kwargs = kwargs
        self.held = threading.Event()
        self.release = threading.Event()
        self.served: str | None = None
        self.error: ApiError | None = None
        self.start()

    def run(self) -> None:
        try:
            with self.registry.use(self.asked, **self.kwargs) as lease:
                self.held.set()
                assert self.release.wait(PATIENCE)
                self.served = lease.engine.work()
        except ApiError as error:
            self.error = error
        finally:
            self.held.set()

    def end(self) -> Call:
        """Let it end, and wait for it."""
        self.release.set()
        self.join(PATIENCE)
        assert not self.is_alive(), "a call hangs"
        return self


def started(machine: Machine, *sizes: int, **kwargs: Any) -> Registry[FakeEngine]:
    """Models a, b, c… of these sizes; a is chosen and ready."""
    registry = registry_of(machine, *(entry(key, size) for key, size in zip("abcdef", sizes, strict=False)), **kwargs)
    registry.start()
    until_state(registry, "a", "ready")
    return registry


def served(registry: Registry[FakeEngine], name: str | None = None) -> str:
    """The model that answers a call."""
    with registry.use(name) as lease:
        return lease.engine.work()
