"""The life of a model: states, leases, refusals, and events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from common.errors import ApiError
from common.messages import Text, _
from common.models.catalogue import Catalogue, ModelEntry
from common.models.registry import Registry, Selection


class FakeEngine:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class FakeLoader:
    """Loads when `gate` is open; `fail` maps a key to what loading it raises."""

    def __init__(self) -> None:
        self.here = {"mini"}
        self.gate = threading.Event()
        self.gate.set()
        self.fail: dict[str, Exception] = {}
        self.engines: list[FakeEngine] = []

    def downloaded(self, entry: ModelEntry) -> bool:
        return entry.key in self.here

    def download(self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        progress(5, 10)
        self.gate.wait(10)
        progress(10, 10)
        self.here.add(entry.key)

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> FakeEngine:
        self.gate.wait(10)
        if entry.key in self.fail:
            raise self.fail[entry.key]
        self.engines.append(FakeEngine())
        return self.engines[-1]

    def need_bytes(self, entry: ModelEntry) -> int | None:
        return entry.parameters * 2

    def unfit(self, entry: ModelEntry, freed: int = 0) -> Text | None:
        return _("trop grand") if entry.key == "huge" else None


def entry(key: str, *aliases: str) -> ModelEntry:
    return ModelEntry(key=key, aliases=aliases, family="llama", parameters=10, licence="MIT")


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


@pytest.fixture
def registry(loader: FakeLoader) -> Registry[FakeEngine]:
    catalogue = Catalogue([entry("mini", "petit"), entry("gpt2"), entry("huge")])
    return Registry(catalogue, loader, Selection("mini", _("c'est le plus petit")))


def until(registry: Registry[FakeEngine], key: str, state: str) -> None:
    deadline = time.monotonic() + 5
    while registry.state(key) != state:
        assert time.monotonic() < deadline, f"{key} is {registry.state(key)}, not {state}"
        time.sleep(0.005)


def test_what_is_on_disk_starts_downloaded(registry: Registry[FakeEngine]) -> None:
    assert registry.state("mini") == "downloaded"
    assert registry.state("gpt2") == "idle"


def test_before_it_is_ready_a_call_is_told_how_far_it_is(registry: Registry[FakeEngine], loader: FakeLoader) -> None:
    loader.gate.clear()
    registry.download("gpt2")
    until(registry, "gpt2", "downloading")
    deadline = time.monotonic() + 5
    while registry.status("gpt2")["bytes_done"] != 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    with pytest.raises(ApiError) as caught, registry.use("gpt2"):
        pass
    assert (caught.value.status, caught.value.code) == (503, "model_not_ready")
    assert caught.value.headers["Retry-After"]
    assert caught.value.extra["model"] == {"key": "gpt2", "state": "downloading", "bytes_done": 5, "bytes_total": 10}
    loader.gate.set()
    until(registry, "gpt2", "downloaded")


def test_a_call_that_names_a_model_makes_it_load(registry: Registry[FakeEngine]) -> None:
    with pytest.raises(ApiError, match="model_not_ready"), registry.use("gpt2"):
        pass
    until(registry, "gpt2", "ready")
    with registry.use("gpt2") as lease:
        assert lease.entry.key == "gpt2"


def test_no_name_gets_what_is_ready(registry: Registry[FakeEngine]) -> None:
    registry.load("gpt2")
    until(registry, "gpt2", "ready")
    for name in (None, "", "default"):
        with registry.use(name) as lease:
            assert lease.entry.key == "gpt2"
    registry.start()
    until(registry, "mini", "ready")
    with registry.use(None) as lease:
        assert lease.entry.key == "mini"


def test_unknown_names_are_404_and_list_what_there_is(registry: Registry[FakeEngine]) -> None:
    with pytest.raises(ApiError) as caught, registry.use("gpt5"):
        pass
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")
    assert "gpt2" in str(caught.value.message)


def test_unload_waits_for_the_call_in_flight(registry: Registry[FakeEngine], loader: FakeLoader) -> None:
    registry.start()
    until(registry, "mini", "ready")
    with registry.use("petit") as lease:
        registry.unload("mini")
        until(registry, "mini", "unloading")
        assert not lease.engine.closed
    until(registry, "mini", "downloaded")
    assert loader.engines[0].closed


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ApiError(400, "bad", _("fichier abîmé")), "fichier abîmé"),
        (MemoryError(), "mémoire"),
        (RuntimeError("secret"), "RuntimeError"),
    ],
)
def test_a_failure_is_a_state_with_its_reason(
    registry: Registry[FakeEngine], loader: FakeLoader, failure: Exception, words: str
) -> None:
    loader.fail["mini"] = failure
    registry.start()
    until(registry, "mini", "error")
    status = registry.status("mini")
    assert words in status["error"]
    assert "secret" not in status["error"]
    with pytest.raises(ApiError, match="model_not_ready"), registry.use("mini"):
        pass
    loader.fail.clear()
    registry.load("mini")
    until(registry, "mini", "ready")


def test_what_does_not_fit_is_refused_before_its_first_byte(registry: Registry[FakeEngine], loader: FakeLoader) -> None:
    for ask in (lambda: registry.load("huge"), lambda: registry.use("huge").__enter__()):
        with pytest.raises(ApiError) as refused:
            ask()
        assert (refused.value.status, refused.value.code) == (507, "model_does_not_fit")
    assert "huge" not in loader.here
    assert registry.state("huge") == "idle"
    assert loader.engines == []
    status = registry.status("huge")
    assert status["fits"] is False
    assert status["reason"] == "trop grand"


def test_a_chosen_model_that_does_not_fit_leaves_the_service_up(loader: FakeLoader) -> None:
    registry: Registry[FakeEngine] = Registry(Catalogue([entry("huge")]), loader, Selection("huge", _("demandé")))
    registry.start()
    assert registry.ready() == {"model": "error"}
    assert registry.status("huge")["error"] == "trop grand"


def test_events_follow_the_states(registry: Registry[FakeEngine]) -> None:
    events = registry.events()
    first = next(events)
    assert first["selection"]["chosen"] == "mini"
    registry.start()
    states = []
    while not states or states[-1] != "ready":
        states.append(next(model["state"] for model in next(events)["models"] if model["key"] == "mini"))
    assert registry.ready() == {"model": "ready"}
