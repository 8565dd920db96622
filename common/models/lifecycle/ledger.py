"""The book of a service's models: their slots, their moves, the default. One condition guards it all."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic

from common.messages import Text, _
from common.models.catalogue import Catalogue
from common.models.contract import E, Loader, Selection
from common.models.lifecycle.states import Slot, State

RETRY_SECONDS = 30.0  # a model that failed or was cancelled is not started by a mere request before that
PROGRESS_SECONDS = 0.2  # readers are told of progress that often at most
_KEPT_MOVES = 256
_log = logging.getLogger("frigo.models")


@dataclass(frozen=True)
class Move:
    """One change of state, numbered."""

    number: int
    key: str
    previous: State
    state: State
    error: Text | str | None


class Ledger(Generic[E]):
    """Everything here but `slot` wants `changed` to be held; `changed` may be taken again by who holds it."""

    def __init__(
        self, catalogue: Catalogue, loader: Loader[E], selection: Selection, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.catalogue = catalogue
        self.selection = selection
        self.clock = clock
        self.changed = threading.Condition()
        self.closed = False
        self.moves: deque[Move] = deque(maxlen=_KEPT_MOVES)
        self.moved = 0  # number of the last move
        self.progressed = 0  # counts what readers should see and is no move
        self._progress_told = float("-inf")
        self._served: list[Selection] = []  # the defaults that were ready, the last one last
        self._loader = loader
        self._slots: dict[str, Slot[E]] = {}
        for entry in catalogue:
            self.slot(entry.key)

    # --- slots -----------------------------------------------------------------------------------------------

    def slot(self, name: str) -> Slot[E]:
        """The place of the model that `name` (key, alias, hub id) means. Raises ApiError 404 model_not_found."""
        entry = self.catalogue.resolve(name)
        known = self._slots.get(entry.key)
        if known is not None:
            return known
        here = self._loader.downloaded(entry)
        with self.changed:
            new = Slot[E](entry, "downloaded" if here else "idle", used_at=self.clock())
            return self._slots.setdefault(entry.key, new)

    @property
    def chosen(self) -> Slot[E]:
        """The default model's place."""
        return self._slots[self.selection.chosen]

    def __iter__(self) -> Iterator[Slot[E]]:
        return iter(list(self._slots.values()))

    def latest_free(self) -> Slot[E] | None:
        """The model used last among those that can be used, or None."""
        return max((slot for slot in self if slot.free), key=lambda slot: slot.used_at, default=None)

    @property
    def version(self) -> tuple[int, int]:
        """(number of the last move, count of the other changes): differs when there is something new to show."""
        return self.moved, self.progressed

    # --- moves -----------------------------------------------------------------------------------------------

    def move(self, slot: Slot[E], state: State) -> None:
        """Change a state and tell everybody."""
        previous = slot.state
        slot.move(state)
        self.moved += 1
        self.moves.append(Move(self.moved, slot.entry.key, previous, state, slot.error if state == "error" else None))
        if state == "ready" and slot is self.chosen:
            self._served = [*(s for s in self._served if s.chosen != slot.entry.key), self.selection]
        self.changed.notify_all()
        reason = str(slot.error or "") if state == "error" else ""
        _log.info("model state", extra={"model": slot.entry.key, "state": state, "reason": reason})

    def settle(self, slot: Slot[E], *, here: bool) -> None:
        """Bring a resting model to downloaded or idle, as its files are `here` or not."""
        if slot.state == "error" or (slot.state == "downloaded" and not here):
            self.move(slot, "idle")
        if slot.state == "idle" and here:
            self.move(slot, "downloaded")

    def fail(self, slot: Slot[E], reason: Text | str, retry_seconds: float = RETRY_SECONDS) -> Slot[E] | None:
        """Put a model in error. When it was the default, the one before it is again, and is returned."""
        slot.error = reason
        slot.retry_at = self.clock() + retry_seconds
        slot.then = None
        slot.asked = slot.options
        self.move(slot, "error")
        return self.step_back(slot)

    def step_back(self, slot: Slot[E]) -> Slot[E] | None:
        """Make the default before `slot` the default again; None when it was not the default, or the only one."""
        key = slot.entry.key
        self.forget(slot)
        if self.selection.chosen != key or not self._served:
            return None
        self.selection = replace(
            self._served[-1], why=_("%(failed)s n'a pas pu servir : retour au modèle précédent.", failed=key)
        )
        self.progressed += 1
        return self.chosen

    def forget(self, slot: Slot[E]) -> None:
        """Never go back to a model that was a default before."""
        self._served = [selection for selection in self._served if selection.chosen != slot.entry.key]

    def choose(self, slot: Slot[E], why: Text) -> None:
        """Make a model the default: calls that name none go to it as soon as it is ready."""
        if self.selection.chosen == slot.entry.key:
            return
        self.selection = replace(self.selection, chosen=slot.entry.key, why=why)
        if slot.state == "ready":
            self._served = [*(s for s in self._served if s.chosen != slot.entry.key), self.selection]
        self.progressed += 1
        self.changed.notify_all()

    def progress(self, slot: Slot[E], done: int, total: int) -> None:
        """Note how far a download is; readers are told now and then."""
        now = self.clock()
        slot.bytes_done, slot.bytes_total = done, total
        slot.rate.add(now, done)
        if done >= total or now - self._progress_told >= PROGRESS_SECONDS:
            self._progress_told = now
            self.progressed += 1
            self.changed.notify_all()
