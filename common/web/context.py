"""What is true of the request being served, readable from any floor and any thread that copies the context."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
language: ContextVar[str] = ContextVar("language", default="fr")

_SAFE_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def new_request_id(given: str | None = None) -> str:
    """The caller's request id when it is a sane token, else a new one."""
    return given if given and _SAFE_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
