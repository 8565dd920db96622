"""What an answer used, read in it as it goes by: OpenAI's `usage`, of text (tokens) or of audio (seconds)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from chat.keys.account import Account
from chat.keys.usage import NOTHING, Usage, usage_of
from chat.openai.events import END_OF_EVENT

_NULL_USAGE = b',"usage":null}'
_NULL_USAGE_AT_END = _NULL_USAGE + b"\n\n"
_PIECES = (b'"content":"', b'"content": "', b'"text":"', b'"text": "', b'"tool_calls"', b'"reasoning_content":"')
_EMPTY = (b'"content":""', b'"content": ""')
_LARGEST_EVENT = 4 * 1024 * 1024


def usage_in(data: bytes) -> Usage:
    """`usage_of` a whole JSON answer."""
    if b'"usage"' not in data:
        return NOTHING
    try:
        return usage_of(json.loads(data))
    except (ValueError, RecursionError):
        return NOTHING


def metered(chunks: Iterable[bytes], account: Account, *, hide: bool) -> Iterator[bytes]:
    """The stream, counted for `account` at its end, or when its reader leaves.

    `hide`: the reader did not ask for usage; it was asked for in its name and is taken out of each event. A stream that
    ends before it told its usage counts a token for each piece of text that went by.
    """
    meter = _Meter(hide=hide)
    try:
        for chunk in chunks:
            if shown := meter.feed(chunk):
                yield shown
        if left := meter.rest():
            yield left
    finally:
        account.count(meter.used or Usage(completion_tokens=meter.pieces))


class _Meter:
    def __init__(self, *, hide: bool) -> None:
        self._hide = hide
        self._buffer = b""
        self.used = NOTHING
        self.pieces = 0

    def feed(self, chunk: bytes) -> bytes:
        """What may be shown now: whole events."""
        if not self._buffer and chunk.endswith(b"\n\n") and _tells_nothing(chunk):  # most do: passed on as they are
            self.pieces += _pieces(chunk)
            return chunk.replace(_NULL_USAGE_AT_END, b"}\n\n") if self._hide else chunk
        self._buffer += chunk
        shown: list[bytes] = []
        start = 0
        for end in END_OF_EVENT.finditer(self._buffer):
            shown.append(self._event(self._buffer[start : end.start()], end.group()))
            start = end.end()
        self._buffer = self._buffer[start:]
        if len(self._buffer) > _LARGEST_EVENT:  # no event of ours: let it go by
            shown.append(self.rest())
        return b"".join(shown)

    def rest(self) -> bytes:
        left, self._buffer = self._buffer, b""
        return left

    def _event(self, event: bytes, end: bytes) -> bytes:
        if any(piece in event for piece in _PIECES) and not any(empty in event for empty in _EMPTY):
            self.pieces += 1
        if not event.startswith(b"data:") or b'"usage"' not in event:
            return event + end
        if event.endswith(_NULL_USAGE):  # gpt's own, at the top level since nothing closes after it
            return (event[: -len(_NULL_USAGE)] + b"}" if self._hide else event) + end
        try:
            told = json.loads(event[5:])
        except (ValueError, RecursionError):
            return event + end
        self.used = usage_of(told) or self.used
        if not self._hide or not isinstance(told, dict) or "usage" not in told:
            return event + end
        if not told.get("choices") and told["usage"] is not None:
            return b""  # OpenAI's last event, which is there for the usage alone
        del told["usage"]
        return b"data: " + json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + end


def _tells_nothing(events: bytes) -> bool:
    """Whether no event says what was used (`"usage"` is a key there: in a text its quotes are escaped)."""
    return events.count(b'"usage"') == events.count(_NULL_USAGE_AT_END)


def _pieces(events: bytes) -> int:
    """How many pieces of text go by, in whole events."""
    return max(0, sum(map(events.count, _PIECES)) - sum(map(events.count, _EMPTY)))
