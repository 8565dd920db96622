"""Ports of loopback for tests that say beforehand where a server will listen, or that nobody does."""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _EACH = 10_000, 1_000
# Below the system's own range (32768-60999 on Linux), from which every other socket's port is drawn: a port that is
# free now is not taken by a connection a moment later. Each process of pytest-xdist has a range to itself, which other
# runs on this machine begin elsewhere.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
_numbers = itertools.cycle(_FIRST + _worker * _EACH + (os.getpid() * 37 + number) % _EACH for number in range(_EACH))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different, each given once."""
    found: list[int] = []
    for port in itertools.islice(_numbers, _EACH):
        if len(found) == count:
            return found
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    raise RuntimeError("no port is free")


def free_port() -> int:
    """One of `free_ports`."""
    (port,) = free_ports(1)
    return port
