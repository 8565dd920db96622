"""The life of a service's models: one state machine, its events, and leases that keep a model in use from leaving.

    idle → downloading → downloaded → loading → ready → unloading → idle,   and error from anywhere, with the reason

All changes happen under one condition variable; work (download, load, unload) runs in threads of its own, so that
the routes that ask for it answer at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from common.errors import ApiError
from common.messages import Text, _
from common.models.catalogue import DEFAULT, Catalogue, ModelEntry

State = Literal["idle", "downloading", "downloaded", "loading", "ready", "unloading", "error"]
RETRY_AFTER_SECONDS = 3
ERROR_RETRY_SECONDS = 30.0  # a model in error is not tried again by a mere request before that
_log = logging.getLogger("frigo.models")


class Engine(Protocol):
    """What the registry needs of an engine."""

    def close(self) -> None:
        """Give the memory back. May be called twice."""


@runtime_checkable
class Watched(Protocol):
    """An engine that can stop by itself (a child process, a server)."""

    def watch(self, died: Callable[[Text], None]) -> None:
        """Call `died(reason)` once, from any thread, when the engine stops without `close`; at once if it has."""


@runtime_checkable
class Measured(Protocol):
    """An engine that knows what it takes."""

    def memory_bytes(self) -> int:
        """Bytes of memory this engine holds now, measured."""


E = TypeVar("E", bound=Engine)
E_co = TypeVar("E_co", bound=Engine, covariant=True)


class Loader(Protocol[E_co]):
    """How one service fetches and loads its models."""

    def downloaded(self, entry: ModelEntry) -> bool:
        """True when the files are here, whole."""

    def download(self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """Fetch the files; `progress(bytes_done, bytes_total)` as they come. Raises `ApiError`.

        Once `cancelled()` is true it soon ends, in any way, keeping what a later call can go on from.
        """

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> E_co:
        """Load from disk; `options` are those of the request (``gpu_device_ids``, ``quantization``), often none.

        Raises `ApiError`, or `MemoryError`.
        """

    def need_bytes(self, entry: ModelEntry) -> int | None:
        """Estimated memory once loaded, or None when it can't be told."""

    def unfit(self, entry: ModelEntry, freed: int = 0) -> Text | None:
        """Why this machine can't run the model now, even with `freed` bytes of memory given back; None when it can."""


@dataclass
class _Slot(Generic[E]):
    """A model's place in the state machine."""

    entry: ModelEntry
    state: State = "idle"
    engine: E | None = None
    users: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    error: Text | str | None = None
    failed_at: float = 0.0
    used_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Lease(Generic[E]):
    """A ready model, held for the time of a call."""

    entry: ModelEntry
    engine: E


@dataclass(frozen=True)
class Selection:
    """Which model was chosen at start, and why."""

    chosen: str
    why: Text
    available_bytes: int | None = None
    rejected: tuple[dict[str, Any], ...] = ()


class Registry(Generic[E]):
    """The models of one service."""

    def __init__(self, catalogue: Catalogue, loader: Loader[E], selection: Selection) -> None:
        self.catalogue = catalogue
        self.selection = selection
        self._loader = loader
        self._changed = threading.Condition()
        self._version = 0
        self._slots = {entry.key: _Slot[E](entry) for entry in catalogue}
        for slot in self._slots.values():
            if loader.downloaded(slot.entry):
                slot.state = "downloaded"

    def start(self) -> None:
        """Begin to load the chosen model; returns at once. One that cannot fit leaves the service up, saying so."""
        try:
            self.load(self.selection.chosen)
        except ApiError as error:
            self._fail(self._slot(self.selection.chosen), error.message)

    # --- use -------------------------------------------------------------------------------------------------

    @contextmanager
    def use(self, name: str | None = None) -> Iterator[Lease[E]]:
        """Hold a ready model. No name, or "default": the chosen one when ready, else any that is.

        Raises `ApiError` 404 `model_not_found`, or 503 `model_not_ready` (and starts loading what was asked for).
        """
        slot = self._acquire(name)
        assert slot.engine is not None  # noqa: S101  a ready slot has its engine
        try:
            yield Lease(slot.entry, slot.engine)
        finally:
            with self._changed:
                slot.users -= 1
                slot.used_at = time.monotonic()
                self._changed.notify_all()

    def _acquire(self, name: str | None) -> _Slot[E]:
        with self._changed:
            slot = self._pick(name)
            if slot.state == "ready":
                slot.users += 1
                return slot
        self._load_on_demand(slot)
        raise self._not_ready(slot)

    def _pick(self, name: str | None) -> _Slot[E]:
        if name and name.lower() != DEFAULT:
            return self._slot(name)
        chosen = self._slots[self.selection.chosen]
        if chosen.state == "ready":
            return chosen
        ready = [slot for slot in self._slots.values() if slot.state == "ready"]
        return max(ready, key=lambda slot: slot.used_at, default=chosen)

    def _load_on_demand(self, slot: _Slot[E]) -> None:
        recent_failure = slot.state == "error" and time.monotonic() - slot.failed_at < ERROR_RETRY_SECONDS
        if slot.state in {"idle", "downloaded"} or (slot.state == "error" and not recent_failure):
            self.load(slot.entry.key)

    def _not_ready(self, slot: _Slot[E]) -> ApiError:
        if slot.state == "error" and slot.error is not None:
            message = _(
                "Le modèle %(model)s n'a pas pu être chargé : %(reason)s",
                model=slot.entry.key,
                reason=slot.error,
            )
        else:
            message = _(
                "Le modèle %(model)s n'est pas encore prêt (%(state)s).",
                model=slot.entry.key,
                state=slot.state,
            )
        progress = {
            "key": slot.entry.key,
            "state": slot.state,
            "bytes_done": slot.bytes_done,
            "bytes_total": slot.bytes_total,
        }
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return ApiError(503, "model_not_ready", message, "model", headers=headers, extra={"model": progress})

    # --- changes ---------------------------------------------------------------------------------------------

    def download(self, name: str) -> dict[str, Any]:
        """Fetch a model's files in the background; its status at once."""
        slot = self._slot(name)
        return self._begin(slot, {"idle", "error"}, "downloading", self._run_download)

    def load(self, name: str) -> dict[str, Any]:
        """Load a model in the background, after fetching it if need be; its status at once.

        Raises `ApiError` 507 `model_does_not_fit` before the first byte of a model this machine can't run.
        """
        slot = self._slot(name)
        if slot.state in {"idle", "downloaded", "error"} and (reason := self._loader.unfit(slot.entry)) is not None:
            raise ApiError(507, "model_does_not_fit", reason, "model")
        first: State = "loading" if self._loader.downloaded(slot.entry) else "downloading"
        return self._begin(slot, {"idle", "downloaded", "error"}, first, self._run_load)

    def unload(self, name: str) -> dict[str, Any]:
        """Give a ready model's memory back once its calls are done; its status at once."""
        return self._begin(self._slot(name), {"ready"}, "unloading", self._run_unload)

    def _begin(
        self, slot: _Slot[E], allowed: set[str], first: State, work: Callable[[_Slot[E]], None]
    ) -> dict[str, Any]:
        with self._changed:
            if slot.state not in allowed:
                return self.status(slot.entry.key)
            slot.error = None
            self._move(slot, first)
        threading.Thread(target=self._guarded, args=(slot, work), name=f"model-{slot.entry.key}", daemon=True).start()
        return self.status(slot.entry.key)

    def _guarded(self, slot: _Slot[E], work: Callable[[_Slot[E]], None]) -> None:
        try:
            work(slot)
        except ApiError as error:
            self._fail(slot, error.message)
        except MemoryError:
            self._fail(slot, _("mémoire insuffisante."))
        except Exception as error:  # noqa: BLE001  a bug in an engine must leave a state that can be seen and retried
            _log.error("model failed", exc_info=error, extra={"model": slot.entry.key})
            self._fail(
                slot,
                _(
                    "erreur inattendue (%(kind)s) ; le journal du service la décrit.",
                    kind=type(error).__name__,
                ),
            )

    def _run_download(self, slot: _Slot[E]) -> None:
        if not self._loader.downloaded(slot.entry):
            self._loader.download(slot.entry, lambda done, total: self._progress(slot, done, total), lambda: False)
        self._move(slot, "downloaded")

    def _run_load(self, slot: _Slot[E]) -> None:
        self._run_download(slot)
        reason = self._loader.unfit(slot.entry)
        if reason is not None:
            raise ApiError(507, "model_does_not_fit", reason, "model")
        self._move(slot, "loading")
        started = time.monotonic()
        engine = self._loader.load(slot.entry, {})
        with self._changed:
            slot.engine = engine
            slot.used_at = time.monotonic()
            self._move(slot, "ready")
        _log.info("model ready", extra={"model": slot.entry.key, "seconds": round(time.monotonic() - started, 2)})

    def _run_unload(self, slot: _Slot[E]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: slot.users == 0)
            engine, slot.engine = slot.engine, None
        if engine is not None:
            engine.close()
        self._move(slot, "downloaded" if self._loader.downloaded(slot.entry) else "idle")

    def _fail(self, slot: _Slot[E], reason: Text | str) -> None:
        with self._changed:
            slot.error = reason
            slot.failed_at = time.monotonic()
            self._move(slot, "error")

    def _move(self, slot: _Slot[E], state: State) -> None:
        with self._changed:
            slot.state = state
            self._version += 1
            self._changed.notify_all()
        _log.info("model state", extra={"model": slot.entry.key, "state": state, "reason": str(slot.error or "")})

    def _progress(self, slot: _Slot[E], done: int, total: int) -> None:
        with self._changed:
            slot.bytes_done, slot.bytes_total = done, total
            self._version += 1
            self._changed.notify_all()

    # --- views -----------------------------------------------------------------------------------------------

    def _slot(self, name: str) -> _Slot[E]:
        entry = self.catalogue.find(name)
        if entry is None:
            entry = self.catalogue.resolve(name)
        with self._changed:
            return self._slots.setdefault(entry.key, _Slot[E](entry))

    def state(self, name: str) -> State:
        """The state of one model."""
        return self._slot(name).state

    def ready(self) -> dict[str, str]:
        """For ``/ready``: "ready" when a model can serve, else the chosen model's state."""
        if any(slot.state == "ready" for slot in self._slots.values()):
            return {"model": "ready"}
        return {"model": self._slots[self.selection.chosen].state}

    def status(self, name: str, language: str = "fr") -> dict[str, Any]:
        """One model as ``/api/models`` shows it."""
        slot = self._slot(name)
        entry = slot.entry
        reason = self._loader.unfit(entry) if slot.state != "ready" else None
        error = slot.error.render(language) if isinstance(slot.error, Text) else slot.error
        shown = entry.model_dump(mode="json", exclude={"path", "revision", "parent", "engine"})
        return {
            **shown,
            "engine": entry.engine,
            "parent": entry.parent,
            "state": slot.state,
            "progress": round(slot.bytes_done / slot.bytes_total, 4) if slot.bytes_total else None,
            "bytes_done": slot.bytes_done,
            "bytes_total": slot.bytes_total,
            "error": error,
            "need_bytes": self._loader.need_bytes(entry),
            "fits": reason is None,
            "reason": reason.render(language) if reason is not None else None,
        }

    def snapshot(self, language: str = "fr") -> dict[str, Any]:
        """``/api/models``: every model, and the selection."""
        selection = {
            "chosen": self.selection.chosen,
            "why": self.selection.why.render(language),
            "available_bytes": self.selection.available_bytes,
            "rejected": list(self.selection.rejected),
        }
        return {"models": [self.status(key, language) for key in list(self._slots)], "selection": selection}

    def events(self, language: str = "fr") -> Iterator[dict[str, Any]]:
        """The snapshot now, then again at every change (at most five a second)."""
        seen = -1
        while True:
            with self._changed:
                while self._version == seen:
                    self._changed.wait()
                seen = self._version
            yield self.snapshot(language)
            time.sleep(0.2)

    def close(self) -> None:
        """Unload everything (the service stops)."""
        for slot in list(self._slots.values()):
            if slot.engine is not None:
                slot.engine.close()
