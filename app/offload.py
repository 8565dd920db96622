"""Work that would hold up every greenlet of a gevent worker (fsync, decoding) is done in a real thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """`work`'s result, from a native thread when the process runs on gevent, else from the caller's own."""
    from gevent import get_hub, monkey

    if not monkey.is_module_patched("threading"):
        return work(*args, **kwargs)
    result: R = get_hub().threadpool.apply(work, args, kwargs)
    return result
