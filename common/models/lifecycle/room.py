"""Room in memory for one more model: which ones leave, in what order, and the proof that their memory came back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Generic

from common.errors import ApiError
from common.messages import Text, _
from common.models.contract import E, Loader, Measured
from common.models.lifecycle.ledger import Ledger
from common.models.lifecycle.states import Resident, Slot

RECLAIM_SECONDS = 10.0  # memory that does not come back in that time is held by something else
DRAIN_SECONDS = 300.0  # a model whose calls last longer is not taken from them: the change is given up
_LOOK_AGAIN_SECONDS = 0.05
_log = logging.getLogger("frigo.models")

Evicted = list[tuple[Slot[E], Mapping[str, Any]]]


def too_big(reason: Text) -> ApiError:
    """The 507 of a model this machine can't hold."""
    return ApiError(507, "model_does_not_fit", reason, "model")


def stopping() -> ApiError:
    """The 503 of a service that is being stopped."""
    return ApiError(503, "service_stopping", _("Le service s'arrête."))


class GivenUpError(Exception):
    """The load that room is made for was cancelled."""


class Room(Generic[E]):
    """Evicts models, least recently used first, only as many as needed. Called by one thread at a time.

    Calls in flight have `drain_seconds` to end when a person wants the room; when a request does, `patience_seconds`,
    after which those that wait meanwhile can still be served by the model that stays.
    """

    def __init__(
        self,
        ledger: Ledger[E],
        loader: Loader[E],
        *,
        patience_seconds: float,
        drain_seconds: float = DRAIN_SECONDS,
        reclaim_seconds: float = RECLAIM_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._loader = loader
        self._patience = patience_seconds
        self._drain = drain_seconds
        self._reclaim = reclaim_seconds

    def freeable(self) -> int | None:
        """Bytes that all models together could give back, also those that come or go now; None when nobody knows."""
        freed = 0
        for other in self._ledger:
            if other.resident is not None:
                freed += self.bytes_of(other)
            elif other.state in {"loading", "unloading"}:
                moving = self._loader.need_bytes(other.entry)
                if moving is None:
                    return None
                freed += moving
        return freed

    def check(self, slot: Slot[E]) -> None:
        """Raise 507 model_does_not_fit when `slot` could not be loaded even alone. Nothing is disturbed."""
        freed = self.freeable()
        reason = None if freed is None else self._loader.unfit(slot.entry, freed)  # else its turn will tell
        if reason is not None:
            raise too_big(reason)

    def bytes_of(self, slot: Slot[E]) -> int:
        """What a loaded model takes: measured when its engine can, else estimated."""
        resident = slot.resident
        if resident is not None and isinstance(resident.engine, Measured):
            return resident.engine.memory_bytes()
        return self._loader.need_bytes(slot.entry) or 0

    def make(self, slot: Slot[E], evicted: Evicted[E], *, patient: bool) -> None:
        """Unload what must be for `slot` to fit, adding each to `evicted` as it goes.

        `patient`: a request asked, not a person; a model in demand first serves as long as it took to load. Raises
        ApiError 507 when there will be no room, 503 model_in_use when a model's calls do not end.
        """
        if self._loader.unfit(slot.entry) is not None:
            self._let_unloads_end()
        while (reason := self._loader.unfit(slot.entry) if not evicted else self.reclaimed(slot)) is not None:
            for victim in self._victims(slot, reason):
                self.evict(victim, evicted, patient=patient, wanted=slot)
            if self._ledger.closed:
                raise stopping()

    def evict(self, slot: Slot[E], evicted: Evicted[E], *, patient: bool, wanted: Slot[E]) -> None:
        """Unload one model, for `wanted`, once its calls are done; new ones wait."""
        ledger = self._ledger
        with ledger.changed:
            resident = slot.resident
            if resident is None:
                return
            if not self._drained(slot, resident, wanted, patient=patient):
                return
            evicted.append((slot, resident.options))
            slot.resident = None
            slot.draining = False
            ledger.move(slot, "unloading")
        self.put_away(slot, resident)

    def put_away(self, slot: Slot[E], resident: Resident[E]) -> None:
        """Close the engine of a model that is unloading and that nobody holds."""
        ledger = self._ledger
        close_quietly(slot, resident)
        here = self._loader.downloaded(slot.entry)
        with ledger.changed:
            if slot.state == "unloading":
                ledger.move(slot, "idle")
                ledger.settle(slot, here=here)

    def _drained(self, slot: Slot[E], resident: Resident[E], wanted: Slot[E], *, patient: bool) -> bool:
        """Wait for the calls in flight; False when the model left by another way. The condition is held."""
        ledger = self._ledger

        def left() -> bool:
            return ledger.closed or wanted.abandoned or slot.resident is not resident or slot.state != "ready"

        def not_needed() -> bool:
            return not resident.users and not slot.waiting

        # Who waited for this model is served first; then, if it is a mere request that wants the room, it stays as
        # long as it took to load while calls for it go on, so that turns between models do not become loads only.
        bound = min(self._drain, self._patience) if patient else self._drain
        ledger.changed.wait_for(lambda: left() or not slot.waiting, bound)
        if patient:
            stay = min(slot.load_seconds or 0.0, self._patience / 2) - (ledger.clock() - resident.since)
            if stay > 0:
                ledger.changed.wait_for(lambda: left() or not_needed(), stay)
        slot.draining = True
        ledger.changed.wait_for(lambda: left() or not resident.users, bound)
        if left():
            slot.draining = False
            ledger.changed.notify_all()
            if wanted.abandoned:
                raise GivenUpError
            ledger.changed.wait_for(lambda: ledger.closed or slot.state != "unloading", self._drain)
            return False
        if resident.users:
            slot.draining = False
            ledger.changed.notify_all()
            message = _(
                "%(model)s est encore en service après %(seconds)s s d'attente : le changement est abandonné.",
                model=slot.entry.key,
                seconds=round(bound),
            )
            raise ApiError(503, "model_in_use", message, "model")
        return True

    def reclaimed(self, slot: Slot[E]) -> Text | None:
        """Why `slot` does not fit; memory that was just given back has some seconds to be seen."""
        ledger = self._ledger
        until = ledger.clock() + self._reclaim
        while (reason := self._loader.unfit(slot.entry)) is not None:
            with ledger.changed:
                if ledger.closed or ledger.clock() >= until:
                    break
                ledger.changed.wait(_LOOK_AGAIN_SECONDS)
        return reason

    def _victims(self, slot: Slot[E], reason: Text) -> list[Slot[E]]:
        with self._ledger.changed:
            ready = sorted(
                (other for other in self._ledger if other is not slot and other.free), key=lambda other: other.used_at
            )
        sizes = {other.entry.key: self.bytes_of(other) for other in ready}
        chosen: list[Slot[E]] = []
        freed = 0
        for other in ready:
            chosen.append(other)
            freed += sizes[other.entry.key]
            if (reason_then := self._loader.unfit(slot.entry, freed)) is None:
                break
            reason = reason_then
        else:
            raise too_big(reason)
        for other in chosen[:-1]:  # a big one may have made the small ones before it needless
            if self._loader.unfit(slot.entry, freed - sizes[other.entry.key]) is None:
                chosen.remove(other)
                freed -= sizes[other.entry.key]
        return chosen

    def _let_unloads_end(self) -> None:
        ledger = self._ledger
        with ledger.changed:
            ledger.changed.wait_for(
                lambda: ledger.closed or not any(slot.state == "unloading" for slot in ledger), self._drain
            )


def close_quietly(slot: Slot[E], resident: Resident[E]) -> None:
    """Close an engine; one that fails to is noted, and the life of the others goes on."""
    try:
        resident.engine.close()
    except Exception as error:  # noqa: BLE001  the next measure of memory tells whether it matters
        _log.error("engine did not close", exc_info=error, extra={"model": slot.entry.key})
