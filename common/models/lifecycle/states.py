"""One model's place in the state machine: what it may become, who uses it, how far it is.

    idle → downloading → downloaded → loading → ready → unloading → idle,   and error from anywhere, with the reason

A model whose files are on this disk goes from idle to downloaded by itself; a download that is cancelled goes back to
idle, and a load that is given up goes back to downloaded. Every other move is refused: a bug, never a state.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal

from common.messages import Text
from common.models.catalogue import ModelEntry
from common.models.contract import E

State = Literal["idle", "downloading", "downloaded", "loading", "ready", "unloading", "error"]
MOVES: Mapping[State, frozenset[State]] = {
    "idle": frozenset({"downloading", "downloaded", "error"}),
    "downloading": frozenset({"downloaded", "idle", "error"}),
    "downloaded": frozenset({"loading", "idle", "error"}),
    "loading": frozenset({"ready", "downloaded", "error"}),
    "ready": frozenset({"unloading", "error"}),
    "unloading": frozenset({"idle", "error"}),
    "error": frozenset({"idle", "error"}),
}
RESTING: frozenset[State] = frozenset({"idle", "downloaded", "error"})  # nothing happens to it until it is asked
_RATE_WINDOW_SECONDS = 20.0
_RATE_LEAST_SECONDS = 1.0


class IllegalMoveError(AssertionError):
    """A move that the state machine does not have."""


class Rate:
    """How fast bytes come, over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """`done` bytes are here at `now`."""
        if self._samples and done < self._samples[-1][1]:  # begun again
            self._samples.clear()
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[1][0] > _RATE_WINDOW_SECONDS:
            self._samples.popleft()

    def seconds_for(self, left: int) -> float | None:
        """Seconds that `left` bytes will take; None before a second of measure, or when nothing comes."""
        if len(self._samples) < 2:
            return None
        (began, first), (ended, last) = self._samples[0], self._samples[-1]
        if ended - began < _RATE_LEAST_SECONDS or last <= first:
            return None
        return left * (ended - began) / (last - first)


@dataclass(eq=False)
class Resident(Generic[E]):
    """An engine in memory, and the calls that hold it."""

    engine: E
    options: Mapping[str, Any]
    since: float
    users: int = 0


@dataclass(eq=False)
class Wish(Generic[E]):
    """A load to be done. `options` None keeps those it had; `patient` when no person asked; `restart` when it died."""

    slot: Slot[E]
    options: Mapping[str, Any] | None = None
    patient: bool = False
    restart: bool = False


@dataclass(eq=False)
class Slot(Generic[E]):
    """A model's place. Read and written under the ledger's condition."""

    entry: ModelEntry
    state: State = "idle"
    resident: Resident[E] | None = None
    waiting: int = 0  # calls that wait for this model
    draining: bool = False  # about to leave: calls in flight end, new ones wait
    abandoned: bool = False  # its load was cancelled: what comes of it is closed
    options: Mapping[str, Any] = field(default_factory=dict)  # those it was last loaded with, for the next time
    asked: Mapping[str, Any] = field(default_factory=dict)  # those it is, or will be, loaded with
    bytes_done: int = 0
    bytes_total: int = 0
    rate: Rate = field(default_factory=Rate)
    error: Text | str | None = None
    retry_at: float = 0.0  # a mere request does not start it before
    used_at: float = 0.0
    load_began: float | None = None
    load_seconds: float | None = None  # what its last load took
    deaths: deque[float] = field(default_factory=deque)
    cancel: Callable[[], None] | None = None  # stops the download that runs
    stands_in: bool = False  # here only until the chosen model is; a person or a call that names it keeps it
    then: Wish[E] | None = None  # to be served once it is downloaded, or unloaded

    @property
    def free(self) -> bool:
        """True when a call may take it."""
        return self.state == "ready" and not self.draining

    @property
    def idle_since(self) -> float | None:
        """When it was last used, or None while it is in use, waited for, or not there."""
        if not self.free or self.resident is None or self.resident.users or self.waiting:
            return None
        return self.used_at

    @property
    def asleep(self) -> bool:
        """It has served, and is to serve again when somebody asks: unloaded for want of use, or waking."""
        return self.state in {"unloading", "downloaded", "loading"} and self.load_seconds is not None and not self.error

    def may_start(self, now: float) -> bool:
        """True when a mere request may start it."""
        return self.state in RESTING and now >= self.retry_at

    def move(self, state: State) -> None:
        """Change state. Raises `IllegalMoveError`."""
        if state not in MOVES[self.state]:
            raise IllegalMoveError(f"{self.entry.key}: {self.state} → {state}")
        self.state = state

    def eta_seconds(self, now: float) -> int | None:
        """Whole seconds until the present state ends, from measures only; None when they are too few."""
        left: float | None = None
        if self.state == "downloading" and self.bytes_total:
            left = self.rate.seconds_for(max(0, self.bytes_total - self.bytes_done))
        elif self.state == "loading" and self.load_seconds is not None and self.load_began is not None:
            left = self.load_seconds - (now - self.load_began)
        return None if left is None or left < 0 else math.ceil(left)
