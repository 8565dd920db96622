"""The one thread that loads: models come in one at a time, so that each finds the memory it was promised.

It also brings back what a failed load drove out, restarts engines that died, and unloads what nobody uses: a model
that was idle for its time, or that stood in for the chosen one until it was there.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any, Generic

from common.errors import ApiError
from common.messages import Text, _
from common.models.contract import E, Loader, Watched
from common.models.lifecycle.ledger import Ledger
from common.models.lifecycle.room import Evicted, GivenUpError, Room, close_quietly, too_big
from common.models.lifecycle.states import RESTING, Resident, Slot, Wish

RESTARTS = 3  # of one engine, within…
RESTARTS_SECONDS = 300.0
_log = logging.getLogger("frigo.models")


class Mover(Generic[E]):
    """Serves wishes in their order. `calls_wait`: a call stays until its model is there, or it wants it no more."""

    def __init__(
        self, ledger: Ledger[E], loader: Loader[E], room: Room[E], *, ttl_seconds: float, calls_wait: bool
    ) -> None:
        self._ledger = ledger
        self._loader = loader
        self._room = room
        self._ttl = ttl_seconds
        self._calls_wait = calls_wait
        self._wishes: deque[Wish[E]] = deque()
        self._dead: list[tuple[Slot[E], Resident[E]]] = []
        self._thread: threading.Thread | None = None

    def want(self, wish: Wish[E]) -> None:
        """Queue a load; a model whose files are here is loading from now on. The condition is held."""
        if wish.slot.state == "downloaded":
            self._begin(wish.slot)
        self._wishes.append(wish)
        self._wake()

    def hurry(self, slot: Slot[E]) -> None:
        """A person wants what a request had asked for. The condition is held."""
        for wish in self._wishes:
            wish.patient = wish.patient and wish.slot is not slot

    def join(self, seconds: float) -> None:
        """Wait for the thread's end, once the ledger is closed."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _begin(self, slot: Slot[E]) -> None:
        slot.abandoned = False
        slot.load_began = None
        self._ledger.move(slot, "loading")

    def _wake(self) -> None:
        if self._thread is None and not self._ledger.closed:
            self._thread = threading.Thread(target=self._run, name="models", daemon=True)
            self._thread.start()
        self._ledger.changed.notify_all()

    def _run(self) -> None:
        ledger = self._ledger
        while True:
            with ledger.changed:
                while not (ledger.closed or self._dead or self._wishes or self._due() is not None):
                    ledger.changed.wait(self._next_due())
                if ledger.closed:
                    return
                dead, self._dead = self._dead, []
                wish = self._wishes.popleft() if self._wishes else None
            for slot, resident in dead:
                close_quietly(slot, resident)
            try:
                if wish is not None:
                    self._serve(wish)
                self._put_idle_away()
            except Exception as error:  # noqa: BLE001  the others' loads must not stop for a bug in one's
                _log.error("bug in the life of a model", exc_info=error)

    # --- loads -----------------------------------------------------------------------------------------------

    def _serve(self, wish: Wish[E]) -> None:
        """Load, swapping if need be; when that fails, what had to leave comes back."""
        slot, evicted = wish.slot, Evicted[E]()
        try:
            if not self._prepare(wish, evicted):
                return
            self._room.make(slot, evicted, patient=wish.patient)
            cancelled = not self._open(slot, slot.options if wish.options is None else wish.options)
        except GivenUpError:
            with self._ledger.changed:
                if slot.state == "loading":
                    self._ledger.move(slot, "downloaded")
            cancelled = True
        except Exception as error:  # noqa: BLE001  a bug in an engine must leave a state that can be seen and retried
            self._gave_up(slot, evicted, reason_of(slot, error))
            cancelled = False
        if cancelled:
            self._gave_up(slot, evicted, None)

    def _prepare(self, wish: Wish[E], evicted: Evicted[E]) -> bool:
        """Bring the wish's model to "loading"; False when there is nothing left to do."""
        ledger, slot = self._ledger, wish.slot
        with ledger.changed:
            state, resident = slot.state, slot.resident
        if state == "ready" and resident is not None:
            if wish.options is None or dict(wish.options) == dict(resident.options):
                return False
            self._room.evict(slot, evicted, patient=wish.patient, wanted=slot)
        with ledger.changed:
            if state == "ready" and slot.state == "error":  # it died before it could be unloaded
                self._again(slot)
            if slot.state == "loading" and slot.abandoned:
                ledger.move(slot, "downloaded")
                return False
            if slot.state == "downloaded":
                self._begin(slot)
        if wish.patient and slot is not ledger.chosen and not slot.waiting and (wish.restart or self._calls_wait):
            reason = self._loader.unfit(slot.entry)
            if reason is not None:  # who asked has left: nobody gives up a place for it
                raise too_big(reason) if wish.restart else GivenUpError
        return slot.state == "loading"

    def _open(self, slot: Slot[E], options: Mapping[str, Any]) -> bool:
        """Load the files into memory; False when it was cancelled, or the service stopped, meanwhile."""
        ledger = self._ledger
        with ledger.changed:
            slot.load_began = began = ledger.clock()
        engine = self._loader.load(slot.entry, options)
        with ledger.changed:
            now = ledger.clock()
            resident = Resident(engine, options, now)
            refused = slot.abandoned or ledger.closed
            if refused:
                ledger.move(slot, "downloaded")
            else:
                slot.resident, slot.error = resident, None
                slot.options = slot.asked = options
                slot.used_at, slot.load_seconds = now, now - began
                ledger.move(slot, "ready")
        if refused:
            close_quietly(slot, resident)
            return False
        _log.info("model ready", extra={"model": slot.entry.key, "seconds": round(now - began, 2)})
        if isinstance(engine, Watched):
            engine.watch(partial(self._died, slot, resident))
        return True

    def _gave_up(self, slot: Slot[E], evicted: Evicted[E], reason: Text | str | None) -> None:
        """Note a load that failed (or was cancelled: no reason), and bring back what had left for it."""
        ledger = self._ledger
        with ledger.changed:
            reloaded = reason is not None and any(other is slot for other, _options in evicted)
            back: Slot[E] | None = None
            if reloaded or slot.state == "ready":  # other options were asked for: it goes on with those it had
                slot.error = reason
                if reloaded:
                    ledger.move(slot, "error")
                    self._again(slot)
                ledger.progressed += 1
                ledger.changed.notify_all()
            else:
                back = None if reason is None else ledger.fail(slot, reason)
            if ledger.closed:
                return
            for other, _options in evicted:
                if other is not slot and other.state == "downloaded":
                    self._begin(other)  # in the same breath, so that no call finds its model gone
            if back is not None and back.state == "downloaded":
                self.want(Wish(back))
        for other, options in reversed(evicted):  # the most recently used first
            if other.state == "loading":
                self._restore(other, options)
        if reloaded and slot.state == "ready":
            slot.error = reason  # to be read, beside a model that serves

    def _restore(self, slot: Slot[E], options: Mapping[str, Any]) -> None:
        try:
            reason = self._room.reclaimed(slot)
            if reason is not None:  # it held a moment ago: the estimate is too careful, so try
                _log.warning("no room to go back", extra={"model": slot.entry.key, "reason": str(reason)})
            self._open(slot, options)
        except Exception as error:  # noqa: BLE001  as above
            with self._ledger.changed:
                self._ledger.fail(slot, reason_of(slot, error))

    def _again(self, slot: Slot[E]) -> None:
        """From error to loading, its files being here. The reason of the error stays to be read until it is ready."""
        self._ledger.settle(slot, here=True)
        self._begin(slot)

    # --- engines that die ------------------------------------------------------------------------------------

    def _died(self, slot: Slot[E], resident: Resident[E], reason: Text) -> None:
        """An engine stopped by itself: load it again, a few times; then go back to the model before."""
        ledger = self._ledger
        with ledger.changed:
            if slot.resident is not resident or slot.state != "ready" or ledger.closed:
                return  # it was being unloaded: no news
            now = ledger.clock()
            slot.resident = None
            slot.deaths.append(now)
            while now - slot.deaths[0] >= RESTARTS_SECONDS:
                slot.deaths.popleft()
            self._dead.append((slot, resident))
            if slot.draining:  # on its way out anyway
                slot.draining = False
                slot.error = reason
                ledger.move(slot, "error")
            elif len(slot.deaths) <= RESTARTS:
                slot.error = reason
                ledger.move(slot, "error")
                self._again(slot)
                self._wishes.appendleft(Wish(slot, resident.options, patient=True, restart=True))
            else:
                back = ledger.fail(slot, reason, slot.deaths[0] + RESTARTS_SECONDS - now)
                if back is not None and back.state in RESTING:
                    ledger.settle(back, here=True)
                    self.want(Wish(back))
            self._wake()

    # --- models nobody uses ----------------------------------------------------------------------------------

    def _due(self) -> Slot[E] | None:
        now, chosen = self._ledger.clock(), self._ledger.chosen
        for slot in self._ledger:
            if slot.idle_since is None:
                continue
            if (self._ttl and now - slot.idle_since >= self._ttl) or (slot.stands_in and chosen.free):
                return slot
        return None

    def _next_due(self) -> float | None:
        """Seconds until a model will have been idle for its time; None: wait for news."""
        idle = [slot.idle_since for slot in self._ledger if slot.idle_since is not None] if self._ttl else []
        return max(0.0, min(idle) + self._ttl - self._ledger.clock()) if idle else None

    def _put_idle_away(self) -> None:
        while True:
            with self._ledger.changed:
                slot = self._due()
                if slot is None or slot.resident is None:
                    return
                resident, slot.resident = slot.resident, None
                self._ledger.move(slot, "unloading")
            _log.info("model idle", extra={"model": slot.entry.key})
            self._room.put_away(slot, resident)


def reason_of(slot: Slot[E], error: Exception) -> Text | str:
    """Why a load failed, for a reader."""
    if isinstance(error, ApiError):
        return error.message
    if isinstance(error, MemoryError):
        return _("La mémoire a manqué.")
    _log.error("model failed", exc_info=error, extra={"model": slot.entry.key})
    return _("Erreur inattendue (%(kind)s) ; le journal du service la décrit.", kind=type(error).__name__)
