"""How far the work on a recording is, and how a service's `progress` events tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """Seconds of sound that are done, of how many, and how many are done in a second of work (None: not known yet)."""

    done: float
    total: float
    rate: float | None = None

    def event(self) -> tuple[str, dict[str, Any]]:
        """As an SSE event; a rate that is not known is left out."""
        share = self.done / self.total if self.total else 1.0
        shown = {
            "progress": round(min(1.0, share), 4),
            "seconds_done": round(self.done, 2),
            "seconds_total": round(self.total, 2),
        }
        if self.rate:
            shown["rate"] = round(self.rate, 2)
        return "progress", shown
