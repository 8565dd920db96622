"""What is shown of a service's models: one status each, the snapshot of all, and events as they change."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Generic

from common.errors import ApiError
from common.messages import Text, _
from common.models.contract import E, Loader, Measured
from common.models.lifecycle.ledger import PROGRESS_SECONDS, Ledger, Move
from common.models.lifecycle.room import Room
from common.models.lifecycle.states import RESTING, Slot

RETRY_AFTER_SECONDS = 3  # when nothing better is known
_RETRY_AFTER_MOST = 60


class Views(Generic[E]):
    """Reads the ledger; asks the loader with no lock held."""

    def __init__(self, ledger: Ledger[E], loader: Loader[E], room: Room[E]) -> None:
        self._ledger = ledger
        self._loader = loader
        self._room = room

    def status(self, slot: Slot[E], language: str) -> dict[str, Any]:
        """One model as ``/api/models`` shows it. It fits when it can be loaded, even if others have to leave."""
        return self._status(slot, language, self._room.freeable())

    def _status(self, slot: Slot[E], language: str, freeable: int | None) -> dict[str, Any]:
        entry = slot.entry
        engine = next(iter(entry.openers), None)  # the preferred one, until another has opened it
        with self._ledger.changed:
            resident = slot.resident
            error = _said(slot.error, language)
            shown = {
                **entry.model_dump(mode="json", exclude={"path", "revision", "parent", "engine"}),
                "engine": engine if resident is None else getattr(resident.engine, "name", engine),
                "quantization": getattr(resident.engine, "quantization", None) if resident is not None else None,
                "rank": entry.rank,
                "parent": entry.parent,
                **self._progress(slot),
                "progress": round(slot.bytes_done / slot.bytes_total, 4) if slot.bytes_total else None,
                "error": error,
            }
        reason = self._loader.unfit(entry, freeable) if shown["state"] != "ready" and freeable is not None else None
        measured = resident is not None and isinstance(resident.engine, Measured)
        return {
            **shown,
            "need_bytes": self._loader.need_bytes(entry),
            "resident_bytes": resident.engine.memory_bytes() if measured else None,  # type: ignore[union-attr]
            "options": dict(resident.options) if resident is not None else {},
            "fits": reason is None,
            "reason": _said(reason, language),
        }

    def snapshot(self, language: str) -> dict[str, Any]:
        """``/api/models``: every model, and the selection."""
        selection, freeable = self._ledger.selection, self._room.freeable()
        slots = [self._ledger.slot(entry.key) for entry in list(self._ledger.catalogue)]
        return {
            "models": [self._status(slot, language, freeable) for slot in slots],
            "selection": {
                "chosen": selection.chosen,
                "why": selection.why.render(language),
                "available_bytes": selection.available_bytes,
                "rejected": [{**one, "reason": _said(one["reason"], language)} for one in selection.rejected],
            },
        }

    def events(self, language: str, gone: Callable[[], bool]) -> Iterator[tuple[str, dict[str, Any]]]:
        """``models``: the snapshot, now and after every change; before it, ``state``: each move since, in order.

        A download's progress is told five times a second at most; a move at once, and none is left out. Ends when
        `gone()` (asked at every change) or when the service stops.
        """
        ledger = self._ledger
        seen = ledger.version
        yield "models", self.snapshot(language)
        while True:
            news = self._news(seen, gone)
            if news is None:
                return
            seen, moves = news
            for move in moves:
                shown: dict[str, Any] = {"key": move.key, "previous": move.previous, "state": move.state}
                if move.error is not None:
                    shown["error"] = _said(move.error, language)
                yield "state", shown
            yield "models", self.snapshot(language)
            self._pause(seen, gone)

    def _news(self, seen: tuple[int, int], gone: Callable[[], bool]) -> tuple[tuple[int, int], list[Move]] | None:
        """Wait for a change: the version now, and the moves since `seen`; None when nobody listens any more."""
        ledger = self._ledger
        with ledger.changed:
            ledger.changed.wait_for(lambda: ledger.closed or gone() or ledger.version != seen)
            if ledger.closed or gone():
                return None
            return ledger.version, [move for move in ledger.moves if move.number > seen[0]]

    def _pause(self, seen: tuple[int, int], gone: Callable[[], bool]) -> None:
        """Let progress gather for a moment, so that it makes one snapshot; a move ends the pause."""
        ledger = self._ledger
        with ledger.changed:
            ledger.changed.wait_for(lambda: ledger.closed or gone() or ledger.version[0] != seen[0], PROGRESS_SECONDS)

    def not_ready(self, slot: Slot[E]) -> ApiError:
        """The 503 of a call whose model is not ready, with how far it is. The condition is held."""
        if slot.state == "error" and slot.error is not None:
            message = _(
                "Le modèle %(model)s ne peut pas répondre : %(reason)s", model=slot.entry.key, reason=slot.error
            )
        else:
            message = _(
                "Le modèle %(model)s n'est pas encore prêt (%(state)s).", model=slot.entry.key, state=slot.state
            )
        progress = self._progress(slot)
        seconds = progress.get("eta_seconds", RETRY_AFTER_SECONDS)
        if slot.state in RESTING:  # it failed or was stopped a moment ago
            seconds = max(seconds, math.ceil(slot.retry_at - self._ledger.clock()))
        headers = {"Retry-After": str(min(max(1, seconds), _RETRY_AFTER_MOST))}
        return ApiError(
            503,
            "model_not_ready",
            message,
            "model",
            headers=headers,
            extra={"model": {"key": slot.entry.key, **progress}},
        )

    def _progress(self, slot: Slot[E]) -> dict[str, Any]:
        eta = slot.eta_seconds(self._ledger.clock())
        return {
            "state": slot.state,
            "bytes_done": slot.bytes_done,
            "bytes_total": slot.bytes_total,
            **({"eta_seconds": eta} if eta is not None else {}),
        }


def _said(message: Text | str | None, language: str) -> str | None:
    return message.render(language) if isinstance(message, Text) else message
