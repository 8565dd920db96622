"""The models of one service: calls hold them, people load, unload and fetch them; everything else follows.

    idle → downloading → downloaded → loading → ready → unloading → idle,   and error from anywhere, with the reason

How models share the memory (`room`, `mover`):

- A model that fits beside those that are loaded is loaded beside them. Else those used least recently leave, as many as
  needed: their calls end, new ones wait, the memory is seen to be back. A load that fails brings them back.
- Loads are served one at a time, in the order they were asked for. A model that was just loaded serves the calls that
  waited for it before it can leave; when only requests want its place, it stays as long as it took to load while
  calls for it go on. So calls to many models in turn cost at most as much loading as serving.

Which model serves calls that name none (the default, ``selection.chosen``): the one chosen at start, until a person
loads another; it serves as soon as it is ready, and what is ready serves before. A default that fails gives way to the
one before it. A load that a mere request caused changes no default.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Generic

from common.errors import ApiError
from common.messages import _
from common.models.catalogue import Catalogue, ModelEntry
from common.models.contract import E, Engine, Lease, Loader, Measured, Selection, Watched
from common.models.lifecycle.calls import Calls, stays
from common.models.lifecycle.downloads import Downloads
from common.models.lifecycle.ledger import RETRY_SECONDS, Ledger
from common.models.lifecycle.mover import Mover
from common.models.lifecycle.room import DRAIN_SECONDS, Room, stopping
from common.models.lifecycle.states import RESTING, Resident, Slot, State, Wish
from common.models.lifecycle.views import Views

__all__ = [
    "E",
    "Engine",
    "Lease",
    "Loader",
    "Measured",
    "Registry",
    "Selection",
    "State",
    "Watched",
]
_CLOSE_SECONDS = 10.0


class Registry(Generic[E]):
    """The models of one service.

    `ttl_s`: a model not used for that many seconds is unloaded; 0: never. `swap_wait_s`: how long a call waits for its
    model; `drain_s`: how long a load waits for the calls of a model that has to leave. Seconds. `options` names those
    of a load that the loader honours; `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        loader: Loader[E],
        selection: Selection,
        *,
        ttl_s: float = 0.0,
        swap_wait_s: float = 0.0,
        drain_s: float = DRAIN_SECONDS,
        options: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.catalogue = catalogue
        self._loader = loader
        self._options = options
        self._ledger: Ledger[E] = Ledger(catalogue, loader, selection, clock)
        self._room: Room[E] = Room(self._ledger, loader, patience_seconds=swap_wait_s / 2, drain_seconds=drain_s)
        self._mover: Mover[E] = Mover(self._ledger, loader, self._room, ttl_seconds=ttl_s, calls_wait=swap_wait_s > 0)
        self._downloads: Downloads[E] = Downloads(self._ledger, loader, self._mover)
        self._views: Views[E] = Views(self._ledger, loader, self._room)
        self._calls: Calls[E] = Calls(self._ledger, self._views, self._start_for_a_call, wait_seconds=swap_wait_s)

    @property
    def loader(self) -> Loader[E]:
        """What fetches and loads the models."""
        return self._loader

    @property
    def selection(self) -> Selection:
        """The default model now, and why."""
        return self._ledger.selection

    def start(self) -> None:
        """Begin to load the chosen model; returns at once. One that cannot fit leaves the service up, saying so."""
        ledger = self._ledger
        slot = ledger.chosen
        try:
            self._start(slot, None)
        except ApiError as error:
            with ledger.changed:
                ledger.fail(slot, error.message)
        meanwhile = self.selection.meanwhile
        if meanwhile is not None and slot.state in {"downloading", "error"}:
            stand_in = ledger.slot(meanwhile)
            with suppress(ApiError):
                stand_in.stands_in = True
                self._start(stand_in, None, patient=True)

    # --- use -------------------------------------------------------------------------------------------------

    @contextmanager
    def use(self, name: str | None = None, gone: Callable[[], bool] = stays) -> Iterator[Lease[E]]:
        """Hold a model for a call, waiting for it to be ready up to `swap_wait_s`; one that rests starts to load.

        No name, or "default": the default when ready, else any that is. At most `MAX_WAITING` calls wait, each until
        `gone()` tells that its client has left.

        Raises `ApiError` 404 model_not_found, 503 model_not_ready, 507 model_does_not_fit, 499 when it has left.
        """
        slot, resident = self._calls.acquire(name, gone)
        try:
            yield Lease(slot.entry, resident.engine)
        finally:
            self._calls.release(slot, resident)

    # --- changes ---------------------------------------------------------------------------------------------

    def check(self, entry: ModelEntry) -> None:
        """Raise what makes `entry` impossible in this environment. Nothing here; a service may have its reasons."""

    def download(self, name: str) -> dict[str, Any]:
        """Fetch a model's files in the background; its status at once."""
        slot = self._ledger.slot(name)
        self.check(slot.entry)
        here = self._loader.downloaded(slot.entry)
        with self._ledger.changed:
            if slot.state in RESTING:
                slot.error = None
                self._ledger.settle(slot, here=here)
                if slot.state == "idle":
                    self._downloads.start(slot)
        return self.status(slot.entry.key)

    def load(self, name: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make a model the default and load it in the background, after fetching it if need be; its status at once.

        `options` are the engine's; None keeps those of the last load. A model that is ready with others is loaded
        again. Raises `ApiError` 507 `model_does_not_fit` before the first byte of a model this machine can't run, 400
        for an option that has no effect here.
        """
        for option in options or ():
            if option not in self._options:
                message = _("L'option « %(name)s » n'est pas prise en charge par ce service.", name=option)
                raise ApiError(400, "unsupported_parameter", message, option)
        slot = self._ledger.slot(name)
        self._start(slot, options or None, default=True)
        return self.status(slot.entry.key)

    def unload(self, name: str) -> dict[str, Any]:
        """Give a ready model's memory back once its calls are done; its status at once.

        When it was the default and another is ready, that one is the default. A download or a load is cancelled.
        """
        ledger = self._ledger
        slot = ledger.slot(name)
        with ledger.changed:
            self._cancel(slot)
            if slot.state == "ready" and slot.resident is not None:
                slot.draining = False
                slot.then = None
                ledger.move(slot, "unloading")
                other = ledger.latest_free()
                if slot is ledger.chosen and other is not None:
                    ledger.choose(other, _("%(model)s a été déchargé.", model=slot.entry.key))
                    ledger.forget(slot)
                threading.Thread(
                    target=self._unload, args=(slot, slot.resident), name=f"unload-{slot.entry.key}", daemon=True
                ).start()
        return self.status(slot.entry.key)

    def _unload(self, slot: Slot[E], resident: Resident[E]) -> None:
        ledger = self._ledger
        with ledger.changed:
            ledger.changed.wait_for(lambda: not resident.users or ledger.closed)
            slot.resident = None
        self._room.put_away(slot, resident)
        with ledger.changed:
            then, slot.then = slot.then, None
            if then is not None and slot.state == "downloaded" and not ledger.closed:
                self._mover.want(then)

    def cancel(self, name: str) -> dict[str, Any]:
        """Stop a download (what came is kept for the next one), or give a load up; the model's status at once."""
        slot = self._ledger.slot(name)
        with self._ledger.changed:
            self._cancel(slot)
        return self.status(slot.entry.key)

    def _cancel(self, slot: Slot[E]) -> None:
        if slot.state not in {"downloading", "loading"}:
            return
        slot.retry_at = self._ledger.clock() + RETRY_SECONDS
        slot.then = None
        slot.asked = slot.options
        self._ledger.step_back(slot)
        if slot.state == "loading":
            slot.abandoned = True
        elif slot.cancel is not None:
            slot.cancel()
        self._ledger.changed.notify_all()

    def _start_for_a_call(self, slot: Slot[E]) -> None:
        self._start(slot, None, patient=True)

    def _start(
        self, slot: Slot[E], options: Mapping[str, Any] | None, *, default: bool = False, patient: bool = False
    ) -> None:
        """Begin what brings `slot` to ready. Raises ApiError, nothing changed, when this machine can't run it."""
        ledger = self._ledger
        self.check(slot.entry)
        if slot.state in RESTING:
            self._room.check(slot)
        here = self._loader.downloaded(slot.entry)
        with ledger.changed:
            if ledger.closed:
                raise stopping()
            if patient and not slot.may_start(ledger.clock()):
                return  # another call was first
            if default:
                ledger.choose(slot, _("Choisi depuis la page Supervision."))
            if not patient:
                self._mover.hurry(slot)
                slot.stands_in = False
            slot.retry_at = 0.0
            other = options is not None and dict(options) != dict(slot.asked)
            slot.asked = slot.asked if options is None else options
            wish = Wish(slot, slot.asked, patient)
            if slot.state in {"downloading", "unloading"}:
                slot.then = wish
            elif slot.state in RESTING:
                slot.error = None
                ledger.settle(slot, here=here)
                if slot.state == "idle":
                    self._downloads.start(slot, wish)
                else:
                    self._mover.want(wish)
            elif slot.draining or slot.abandoned or other:
                self._mover.want(wish)

    # --- views -----------------------------------------------------------------------------------------------

    def state(self, name: str) -> State:
        """The state of one model."""
        return self._ledger.slot(name).state

    def calls(self, name: str) -> tuple[int, int]:
        """How many calls hold a model, and how many wait for it."""
        slot = self._ledger.slot(name)
        with self._ledger.changed:
            return slot.resident.users if slot.resident is not None else 0, slot.waiting

    def ready(self) -> dict[str, str]:
        """For ``/ready``: "ready" when a model can serve, else the default's state.

        A default that was unloaded because nobody used it can serve: the next call wakes it, and must get here.
        """
        if any(slot.state == "ready" for slot in self._ledger) or self._ledger.chosen.asleep:
            return {"model": "ready"}
        return {"model": self._ledger.chosen.state}

    def status(self, name: str, language: str = "fr") -> dict[str, Any]:
        """One model as ``/api/models`` shows it."""
        return self._views.status(self._ledger.slot(name), language)

    def snapshot(self, language: str = "fr") -> dict[str, Any]:
        """``/api/models``: every model, and the selection."""
        return self._views.snapshot(language)

    def events(self, language: str = "fr", gone: Callable[[], bool] = stays) -> Iterator[tuple[str, dict[str, Any]]]:
        """(name, data) of each event: see `Views.events`. `wake` makes it ask `gone` at once."""
        return self._views.events(language, gone)

    def wake(self) -> None:
        """Make everything that waits look again."""
        with self._ledger.changed:
            self._ledger.changed.notify_all()

    def close(self) -> None:
        """Stop everything (the service stops): calls that wait are refused, downloads end, engines are closed."""
        ledger = self._ledger
        with ledger.changed:
            ledger.closed = True
            for slot in ledger:
                if slot.cancel is not None:
                    slot.cancel()
            ledger.changed.notify_all()
        self._downloads.join(_CLOSE_SECONDS)
        self._mover.join(_CLOSE_SECONDS)
        for slot in ledger:
            with ledger.changed:
                resident, slot.resident = slot.resident, None
                if resident is not None and slot.state == "ready":
                    ledger.move(slot, "unloading")
            if resident is not None:
                self._room.put_away(slot, resident)
