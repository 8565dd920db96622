"""Models being fetched: one thread each, one at a time per model, stopped on demand and taken up again later."""

from __future__ import annotations

import threading
from typing import Generic

from common.messages import Text, _
from common.models.contract import E, Loader
from common.models.lifecycle.ledger import Ledger
from common.models.lifecycle.mover import Mover, reason_of
from common.models.lifecycle.states import Rate, Slot, Wish


class Downloads(Generic[E]):
    """Fetches files, then hands the model to the mover when it is to be loaded."""

    def __init__(self, ledger: Ledger[E], loader: Loader[E], mover: Mover[E]) -> None:
        self._ledger = ledger
        self._loader = loader
        self._mover = mover
        self._threads: set[threading.Thread] = set()

    def start(self, slot: Slot[E], then: Wish[E] | None = None) -> None:
        """Begin to fetch an idle model. The condition is held."""
        slot.bytes_done = slot.bytes_total = 0
        slot.rate = Rate()
        slot.then = then
        self._ledger.move(slot, "downloading")
        cancelled = self._cancellable(slot)
        thread = threading.Thread(
            target=self._run, args=(slot, cancelled), name=f"download-{slot.entry.key}", daemon=True
        )
        self._threads.add(thread)
        thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the threads' end, once all were cancelled."""
        for thread in list(self._threads):
            thread.join(seconds)

    def _cancellable(self, slot: Slot[E]) -> threading.Event:
        cancelled = threading.Event()
        slot.cancel = cancelled.set
        return cancelled

    def _run(self, slot: Slot[E], cancelled: threading.Event) -> None:
        while True:
            failure = self._fetch(slot, cancelled)
            here = self._loader.downloaded(slot.entry)
            with self._ledger.changed:
                if cancelled.is_set() and not here and slot.then is not None and not self._ledger.closed:
                    cancelled = self._cancellable(slot)  # asked for again while it was stopping
                    continue
                self._end(slot, failure, here=here, cancelled=cancelled.is_set())
                self._threads.discard(threading.current_thread())
                return

    def _fetch(self, slot: Slot[E], cancelled: threading.Event) -> Text | str | None:
        def progress(done: int, total: int) -> None:
            with self._ledger.changed:
                self._ledger.progress(slot, done, total)

        try:
            self._loader.download(slot.entry, progress, cancelled.is_set)
        except Exception as error:  # noqa: BLE001  a bug must leave a state that can be seen and retried
            return None if cancelled.is_set() else reason_of(slot, error)
        return None

    def _end(self, slot: Slot[E], failure: Text | str | None, *, here: bool, cancelled: bool) -> None:
        then, slot.then, slot.cancel = slot.then, None, None
        if failure is None and here:
            self._ledger.move(slot, "downloaded")
            if then is not None and not self._ledger.closed:
                self._mover.want(then)
            return
        if cancelled:
            self._ledger.move(slot, "idle")
            return
        reason = failure or _("Les fichiers du modèle %(model)s sont absents ou incomplets.", model=slot.entry.key)
        back = self._ledger.fail(slot, reason)
        if back is not None and back.state == "downloaded":
            self._mover.want(Wish(back))
