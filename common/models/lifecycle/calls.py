"""Calls and the models they hold: which one a call gets, how it waits for it, and who else must not wait behind it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic

from common.errors import client_left
from common.models.catalogue import DEFAULT
from common.models.contract import E
from common.models.lifecycle.ledger import RETRY_SECONDS, Ledger
from common.models.lifecycle.room import stopping
from common.models.lifecycle.states import RESTING, Resident, Slot
from common.models.lifecycle.views import Views

MAX_WAITING = 32  # half of a service's threads (common/web/gunicorn_conf.py): the others must get through
_GONE_SECONDS = 0.25  # how often a waiting call looks whether its client has left
_log = logging.getLogger("frigo.models")


def named(model: str | None) -> bool:
    """False for a call that takes the default."""
    return bool(model) and str(model).lower() != DEFAULT


def stays() -> bool:
    """For a client that is always there."""
    return False


class Calls(Generic[E]):
    """`start` begins to load a resting model for a call, and raises when this machine can't run it."""

    def __init__(
        self, ledger: Ledger[E], views: Views[E], start: Callable[[Slot[E]], None], *, wait_seconds: float
    ) -> None:
        self._ledger = ledger
        self._views = views
        self._start = start
        self._wait_seconds = wait_seconds
        self._bringing: Slot[E] | None = None  # the default, on its way back

    def acquire(self, name: str | None, gone: Callable[[], bool]) -> tuple[Slot[E], Resident[E]]:
        """Take a model as soon as it may be. Raises what `Registry.use` says."""
        slot, resident = self._take(name, gone)
        if not named(name):
            self._bring_back()
        return slot, resident

    def release(self, slot: Slot[E], resident: Resident[E]) -> None:
        """The call is over."""
        with self._ledger.changed:
            resident.users -= 1
            slot.used_at = self._ledger.clock()
            if not resident.users:
                self._ledger.changed.notify_all()

    def _take(self, name: str | None, gone: Callable[[], bool]) -> tuple[Slot[E], Resident[E]]:
        ledger = self._ledger
        asked = ledger.slot(name) if name and named(name) else None
        until = ledger.clock() + self._wait_seconds
        place = _Place[E]()
        try:
            while True:
                with ledger.changed:
                    if ledger.closed:
                        raise stopping()
                    wanted = asked or ledger.chosen
                    wanted.stands_in = False
                    found = wanted if wanted.free or asked else ledger.latest_free()
                    if found is not None and found.free and found.resident is not None:
                        found.resident.users += 1
                        found.used_at = ledger.clock()
                        return found, found.resident
                    if not place.taken and sum(slot.waiting for slot in ledger) >= MAX_WAITING:
                        raise self._views.not_ready(wanted)
                    place.take(wanted)
                    start = wanted.may_start(ledger.clock())
                    if not start:
                        self._wait(wanted, until, gone, named=asked is not None)
                if start:
                    self._start(wanted)
                elif gone():
                    raise client_left()
        finally:
            with ledger.changed:
                if place.leave():
                    ledger.changed.notify_all()

    def _wait(self, wanted: Slot[E], until: float, gone: Callable[[], bool], *, named: bool) -> None:
        """Wait for news. Raises 503 model_not_ready when the time is over, or when nothing is on its way."""
        left = until - self._ledger.clock()
        hope = not named and any(slot.state in {"loading", "ready"} for slot in self._ledger)
        if left <= 0 or (wanted.state in RESTING and not hope):
            raise self._views.not_ready(wanted)
        self._ledger.changed.wait(left if gone is stays else min(left, _GONE_SECONDS))

    def _bring_back(self) -> None:
        """Start the default while another model serves, without making the call at hand wait."""
        with self._ledger.changed:
            slot = self._ledger.chosen
            if self._bringing is slot or not slot.may_start(self._ledger.clock()):
                return
            self._bringing = slot
        threading.Thread(target=self._bring, args=(slot,), name=f"start-{slot.entry.key}", daemon=True).start()

    def _bring(self, slot: Slot[E]) -> None:
        try:
            self._start(slot)
        except Exception as error:  # noqa: BLE001  nobody waits for it: told by its state, and tried again later
            _log.warning("default not started", exc_info=error, extra={"model": slot.entry.key})
            with self._ledger.changed:
                slot.retry_at = self._ledger.clock() + RETRY_SECONDS
        finally:
            with self._ledger.changed:
                self._bringing = None


class _Place(Generic[E]):
    """A call's place among those that wait for a model; it may change model."""

    def __init__(self) -> None:
        self._slot: Slot[E] | None = None

    @property
    def taken(self) -> bool:
        return self._slot is not None

    def take(self, slot: Slot[E]) -> None:
        if self._slot is not slot:
            self.leave()
            self._slot = slot
            slot.waiting += 1

    def leave(self) -> bool:
        """True when there was a place to leave."""
        if self._slot is None:
            return False
        self._slot.waiting -= 1
        self._slot = None
        return True
