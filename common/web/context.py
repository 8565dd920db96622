"""What is true of the request being served, readable from any floor and any thread that copies the context."""

from __future__ import annotations

import os
import random
import re
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
language: ContextVar[str] = ContextVar("language", default="fr")

_numbers = random.Random()  # an id is no secret, and asking the system for each one costs more
os.register_at_fork(after_in_child=_numbers.seed)
_SAFE_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def new_request_id(given: str | None = None) -> str:
    """The caller's request id when it is a sane token, else a new one."""
    return given if given and _SAFE_ID.fullmatch(given) else f"req_{_numbers.getrandbits(128):032x}"
