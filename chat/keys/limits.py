"""Requests per minute: a window that begins with a key's first request and ends a minute later.

In Redis when REDIS_URL is set, so that several hosts count together; else in a small file of DATA_DIR that is never
flushed to the disk, so that the processes of one host do. Both count in one atomic step.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

WINDOW_SECONDS = 60.0
_LUA = """
local used = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {used, left}
"""
_TABLE = "CREATE TABLE IF NOT EXISTS windows (name TEXT PRIMARY KEY, used INTEGER NOT NULL, ends REAL NOT NULL)"
_SQL = """
INSERT INTO windows (name, used, ends) VALUES (:name, 1, :now + :seconds)
ON CONFLICT (name) DO UPDATE SET
  used = CASE WHEN ends <= :now OR ends > :now + :seconds THEN 1 ELSE used + 1 END,
  ends = CASE WHEN ends <= :now OR ends > :now + :seconds THEN :now + :seconds ELSE ends END
RETURNING used, ends
"""  # a clock that was set back does not make a window last
_log = logging.getLogger("frigo.keys")


@dataclass(frozen=True)
class Window:
    """How many requests were made in the minute under way, this one included, and when it ends."""

    used: int
    seconds_left: float


class Limits(Protocol):
    """Counts requests; shared by the processes."""

    def take(self, name: str) -> Window:
        """Count one request of `name`."""

    def close(self) -> None: ...


class LocalLimits:
    """For the processes of one host."""

    def __init__(self, file: Path, window_seconds: float = WINDOW_SECONDS) -> None:
        self._seconds = window_seconds
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(file, timeout=5, isolation_level=None, check_same_thread=False)
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # SQLite does not wait while another process changes the journal's mode
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute(_TABLE)
        self._connection.execute("PRAGMA synchronous=OFF")  # what a power cut loses is a minute's count

    def take(self, name: str) -> Window:
        now = time.time()
        values = {"name": name, "now": now, "seconds": self._seconds}
        with self._lock:
            used, ends = self._connection.execute(_SQL, values).fetchone()
        return Window(int(used), float(ends) - now)

    def close(self) -> None:
        self._connection.close()


class RedisLimits:
    """For all hosts; while Redis does not answer, each host counts for itself with `otherwise`."""

    def __init__(self, url: str, otherwise: Limits, window_seconds: float = WINDOW_SECONDS) -> None:
        import redis

        self._otherwise = otherwise
        self._milliseconds = int(window_seconds * 1000)
        self._redis = redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)
        self._count: Any = self._redis.register_script(_LUA)
        self._errors = (redis.RedisError, OSError)

    def take(self, name: str) -> Window:
        try:
            used, left = self._count(keys=[f"frigo:requests:{name}"], args=[self._milliseconds])
        except self._errors as error:
            _log.warning("Redis does not answer: this host counts alone (%s)", type(error).__name__)
            return self._otherwise.take(name)
        return Window(int(used), int(left) / 1000)

    def close(self) -> None:
        self._redis.close()


def make_limits(redis_url: str | None, data_dir: Path) -> Limits:
    """What REDIS_URL says, or this host's own count in DATA_DIR."""
    local = LocalLimits(data_dir / "limits.db")
    return RedisLimits(redis_url, local) if redis_url else local
