"""An answer as it grows, read where it is kept, so that any process can show what another one writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

POLL_SECONDS = 0.25
_GROWING = ("content", "reasoning_content")


def follow(look: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any] | None]:
    """Events until the message that `look` gives is written: all of it, then what is new; None while nothing is.

    New text is told by chunks like those of /v1/chat/completions; what changes otherwise, by all of the message.
    """
    seen = look()
    yield _whole(seen)
    while seen["state"] == "writing":
        time.sleep(POLL_SECONDS)
        now = look()
        if now == seen:
            yield None
        elif (delta := _grown(seen, now)) is not None:
            yield {"choices": [{"index": 0, "delta": delta}]}
        else:
            yield _whole(now)
        seen = now


def _whole(message: dict[str, Any]) -> dict[str, Any]:
    return {"object": "conversation.answer", "answer": message}


def _grown(before: dict[str, Any], now: dict[str, Any]) -> dict[str, str] | None:
    """What the texts have more; None when something else changed too."""
    texts = {name: (before.get(name, ""), now.get(name, "")) for name in _GROWING}
    rest = [{name: value for name, value in one.items() if name not in _GROWING} for one in (before, now)]
    if rest[0] != rest[1] or not all(later.startswith(sooner) for sooner, later in texts.values()):
        return None
    return {name: later[len(sooner) :] for name, (sooner, later) in texts.items() if later != sooner}
