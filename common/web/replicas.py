"""The addresses of a service: which to ask first, which are better left alone, which only sleep.

The least busy one is asked first; one that failed comes last until its /health answers again. A host that sleeps is
woken by asking its /health, and waited for: Render stops an instance that nobody asks, and its proxy then says 502 or
503, or refuses, for up to a minute. An address of this machine never sleeps.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from common.web.connections import cancelled

COOL_DOWN_SECONDS = 2.0
WAKE_SECONDS = 75.0
WAKE_PAUSE_SECONDS = 1.0
GIVEN_UP_SECONDS = 15.0
PROBE_SECONDS = 3.0
LONGEST_PROBE_SECONDS = 15.0  # a proxy may hold the question until its instance is there
_KEPT_SECONDS = 2.0
_AWAKE_SECONDS = 300.0

Healthy = Callable[[str, float], bool | None]
"""Whether GET /health of an address answers 200 within some seconds; None: its host has no address at all."""


class Replica:
    """One address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.in_flight = 0
        self.dead_until = 0.0
        self.suspect = False
        self.answered_at = -_AWAKE_SECONDS
        self.checking = threading.Lock()
        self.checked: tuple[float, bool] = (-_KEPT_SECONDS, True)
        self.may_sleep = _is_elsewhere(urlsplit(url).hostname or "")

    @property
    def awake(self) -> bool:
        """Whether it answered lately."""
        return time.monotonic() - self.answered_at < _AWAKE_SECONDS


def _is_elsewhere(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


class Replicas:
    """All addresses of a service. `wake_seconds`: how long one that sleeps is waited for; None: as its address says."""

    def __init__(self, urls: Iterable[str], healthy: Healthy, wake_seconds: float | None = None) -> None:
        self.all = [Replica(url) for url in urls]
        self._healthy = healthy
        self._wake_seconds = wake_seconds
        self._lock = threading.Lock()
        self._turn = 0
        self._waking = threading.Lock()
        self._given_up_until = 0.0

    def in_order(self) -> list[Replica]:
        """Those worth asking now, the least busy first, in turn; those that failed last."""
        now = time.monotonic()
        if len(self.all) == 1:
            return self.all if self.all[0].dead_until <= now else []
        with self._lock:
            first, self._turn = self._turn, (self._turn + 1) % len(self.all)
            turned = [one for one in self.all[first:] + self.all[:first] if one.dead_until <= now]
            found = sorted(turned, key=lambda one: (one.suspect, one.in_flight))
        for one in found:
            if one.suspect:
                self._look_again(one)
        return found

    def began(self, replica: Replica) -> Callable[[], None]:
        """Count a call to `replica`; call what is returned once it has ended."""
        with self._lock:
            replica.in_flight += 1
        counted = 1

        def end() -> None:
            nonlocal counted
            with self._lock:
                replica.in_flight -= counted
                counted = 0

        return end

    def answered(self, replica: Replica) -> None:
        replica.answered_at = time.monotonic()
        replica.suspect = False

    def failed(self, replica: Replica, *, leave_alone: bool) -> None:
        """`replica` refused or broke a call; `leave_alone`: nobody asks it for a while."""
        replica.suspect = True
        if leave_alone:
            replica.dead_until = time.monotonic() + COOL_DOWN_SECONDS

    def hung(self, replica: Replica) -> bool:
        """Whether its /health does not answer; asked once for all who wait on it."""
        with replica.checking:
            at, healthy = replica.checked
            if time.monotonic() - at > _KEPT_SECONDS:
                healthy = bool(self._healthy(replica.url, PROBE_SECONDS))
                replica.checked = (time.monotonic(), healthy)
        return not healthy

    def asleep(self) -> list[Replica]:
        """Those that may be woken."""
        if self._wake_seconds is not None:
            return self.all if self._wake_seconds > 0 else []
        return [one for one in self.all if one.may_sleep]

    def wake(self) -> bool:
        """Ask for /health until one of them answers; True then. Others who call meanwhile wait for the same."""
        sleepers = list(self.asleep())
        with self._waking:
            began = time.monotonic()
            if any(one.answered_at >= began - _KEPT_SECONDS and not one.suspect for one in sleepers):
                return True
            if self._given_up_until > began:
                return False
            seconds = WAKE_SECONDS if self._wake_seconds is None else self._wake_seconds
            while sleepers and not cancelled() and (left := began + seconds - time.monotonic()) > 0:
                for one in list(sleepers):
                    healthy = self._healthy(one.url, max(1.0, min(LONGEST_PROBE_SECONDS, left)))
                    if healthy:
                        one.dead_until = 0.0
                        self.answered(one)
                        return True
                    if healthy is None:
                        sleepers.remove(one)
                time.sleep(min(WAKE_PAUSE_SECONDS, seconds / 10))
            self._given_up_until = time.monotonic() + GIVEN_UP_SECONDS
        return False

    def _look_again(self, replica: Replica) -> None:
        if not replica.checking.acquire(blocking=False):
            return

        def look() -> None:
            try:
                if self._healthy(replica.url, PROBE_SECONDS):
                    replica.suspect = False
                else:
                    replica.dead_until = time.monotonic() + COOL_DOWN_SECONDS
            finally:
                replica.checking.release()

        threading.Thread(target=look, name="health", daemon=True).start()
