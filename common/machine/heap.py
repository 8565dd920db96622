"""Memory that this process no longer uses, given back to the machine."""

from __future__ import annotations

import contextlib
import ctypes
import gc


def give_memory_back(*, collect: bool = False) -> None:
    """Hand back what was freed (glibc keeps the caches of past generations otherwise), cycles too when `collect`."""
    if collect:
        gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)
