"""A memory limit as a container's: a control group of this machine's, v1 or v2. Needs root."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")
SAMPLE_SECONDS = 0.02


class MemoryGroup:
    """`limit` in bytes. `peak` is the most that its processes held at once and that the system could not take back
    (anonymous memory), in bytes; `kills` how often the system killed one for want of memory."""

    def __init__(self, folder: Path, limit: int, *, v2: bool) -> None:
        self.folder, self.limit, self._v2 = folder, limit, v2
        folder.mkdir()
        (folder / ("memory.max" if v2 else "memory.limit_in_bytes")).write_text(str(limit), encoding="ascii")
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Put the calling process in the group (before it execs)."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def anonymous(self) -> int:
        """Bytes that cannot be taken back, now."""
        name = "anon" if self._v2 else "total_rss"
        return self._stat().get(name, 0)

    def kills(self) -> int:
        """How many processes the system killed."""
        name = "memory.events" if self._v2 else "memory.oom_control"
        return self._numbers(name).get("oom_kill", 0)

    def touched(self) -> int:
        """The most that was ever counted, file pages included, in bytes: what the limit was compared with."""
        name = "memory.peak" if self._v2 else "memory.max_usage_in_bytes"
        try:
            return int((self.folder / name).read_text(encoding="ascii"))
        except OSError:
            return 0

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for _try in range(50):
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.1)

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, self.anonymous())

    def _stat(self) -> dict[str, int]:
        return self._numbers("memory.stat")

    def _numbers(self, name: str) -> dict[str, int]:
        try:
            lines = (self.folder / name).read_text(encoding="ascii").splitlines()
        except OSError:
            return {}
        return {key: int(value) for key, value in (line.split()[:2] for line in lines if " " in line)}


@contextlib.contextmanager
def limited(megabytes: int) -> Iterator[MemoryGroup]:
    """A group of that many MB; SystemExit says why there can't be one."""
    v2 = (_V2 / "cgroup.controllers").is_file()
    parent = _V2 if v2 else _V1
    try:
        group = MemoryGroup(parent / f"frigo-bench-{os.getpid()}", megabytes * 2**20, v2=v2)
    except OSError as error:
        raise SystemExit(f"no memory control group can be made here ({error}): root is needed") from error
    try:
        yield group
    finally:
        group.close()
