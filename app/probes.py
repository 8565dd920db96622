"""Which services answer: probed side by side, quickly, and remembered for two seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from app.peers import Peers
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.client import Peer

PROBE_SECONDS = 4.0  # a service that computes on all cores may be slow to say that it is there
KEPT_SECONDS = 2.0
T = TypeVar("T")


@dataclass(frozen=True)
class Probe:
    """One service at one moment, or one of its `replicas`. It is up when one of them is."""

    name: str
    url: str
    up: bool
    latency_ms: float | None = None
    error: str | None = None
    replicas: tuple[Probe, ...] = ()


class Remembered(Generic[T]):
    """The value of `make`, made anew once it is older than `seconds`. Callers who come meanwhile share one making."""

    def __init__(self, make: Callable[[], T], seconds: float = KEPT_SECONDS) -> None:
        self._make = make
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: tuple[float, T] | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._kept is None or time.monotonic() - self._kept[0] > self._seconds:
                self._kept = (time.monotonic(), self._make())
            return self._kept[1]


def at_once(work: Callable[[Peer], T], peers: Sequence[Peer]) -> list[T]:
    """`work` on every peer, side by side, in the language of the request."""
    language, request_id = context.language.get(), context.request_id.get()

    def one(peer: Peer) -> T:
        context.language.set(language)
        context.request_id.set(request_id)
        return work(peer)

    with ThreadPoolExecutor(max_workers=len(peers)) as pool:
        return list(pool.map(one, peers))


def health(peer: Peer) -> Probe:
    """Ask one address of a service for its /health."""
    began = time.monotonic()
    try:
        peer.request("GET", "/health", timeout=PROBE_SECONDS).raise_for_status()
    except ApiError as error:
        return Probe(peer.name, peer.urls[0], up=False, error=error.code)
    return Probe(peer.name, peer.urls[0], up=True, latency_ms=round((time.monotonic() - began) * 1000, 1))


def _services(replicas: Iterable[Probe]) -> list[Probe]:
    """Each service as the first of its replicas that is up, in order."""
    of: dict[str, list[Probe]] = {}
    for probe in replicas:
        of.setdefault(probe.name, []).append(probe)
    return [replace(next((p for p in probes if p.up), probes[0]), replicas=tuple(probes)) for probes in of.values()]


def readiness(peer: Peer) -> str:
    """ "ready", or why the service is not."""
    try:
        answer = peer.request("GET", "/ready", timeout=PROBE_SECONDS)
        if answer.status == 200:
            return "ready"
        components: dict[str, Any] = answer.json().get("components", {})
    except ApiError as error:
        return error.code
    waiting = [f"{name}: {state}" for name, state in components.items() if state != "ready"]
    return "; ".join(waiting) or "not_ready"


class Probes:
    """The state of the services behind app."""

    def __init__(self, peers: Peers) -> None:
        self._peers = list(peers)
        each = [peer for one in self._peers for peer in peers.replicas[one.name]]
        self.health: Callable[[], list[Probe]] = Remembered(lambda: _services(at_once(health, each)))
        self.ready: Callable[[], dict[str, str]] = Remembered(
            lambda: dict(zip((peer.name for peer in self._peers), at_once(readiness, self._peers), strict=True))
        )

    def peer(self, name: str) -> Peer:
        found = next((peer for peer in self._peers if peer.name == name), None)
        if found is None:
            raise ApiError(404, "service_not_found", _("Service inconnu : %(name)s.", name=name), "service")
        return found
