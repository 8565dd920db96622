"""Server-sent events in bytes that come cut anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from common.web import strict_json

END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r")
DONE = "[DONE]"


class Events:
    """Fed with bytes, it gives the data of each event that is whole. Comments and pings give none."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        *blocks, self._buffer = END_OF_EVENT.split(self._buffer + chunk)
        for block in blocks:
            lines = [line[5:] for line in block.splitlines() if line.startswith(b"data:")]
            if lines:
                yield b"\n".join(line.removeprefix(b" ") for line in lines).decode("utf-8", "replace")


def as_object(data: str | bytes) -> dict[str, Any] | None:
    """The JSON object in `data`; None when it is none."""
    try:
        value = strict_json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
