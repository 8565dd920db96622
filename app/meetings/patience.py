"""How long a step tries again: for a service that is down, for one that is busy, for one that gets on."""

from __future__ import annotations

import time

from common.errors import ApiError

_FIRST_DELAY, _MAX_DELAY, _MAX_ASKED = 1.0, 10.0, 60.0
_ON_ITS_WAY = {"downloading", "downloaded", "loading", "unloading"}


class Patience:
    """`limit`: seconds for which failures that follow each other without any progress are borne."""

    def __init__(self, limit: float) -> None:
        self.tried = False
        """True once an attempt has failed."""
        self._limit = limit
        self._since = 0.0
        self._reached = 0.0
        self._delay = _FIRST_DELAY

    def ended(self, error: ApiError, reached: float) -> bool:
        """Note a failure, `reached` seconds into the recording; True when there were enough of them."""
        now = time.monotonic()
        if not self.tried or reached > self._reached or is_busy(error):
            self._since, self._delay = now, _FIRST_DELAY if reached > self._reached else self._delay
        self.tried, self._reached = True, max(reached, self._reached)
        return now - self._since >= self._limit

    def delay(self, error: ApiError) -> float:
        """Seconds to wait before the next attempt: longer each time, and no less than the service asks for."""
        asked = error.headers.get("Retry-After", "")
        delay, self._delay = self._delay, min(self._delay * 1.6, _MAX_DELAY)
        return max(delay, min(float(asked), _MAX_ASKED)) if asked.isdecimal() else delay


def is_busy(error: ApiError) -> bool:
    """True when the service is there and will get to it: it has too much to do, or its model is on its way."""
    if error.code == "model_not_ready":
        model = error.extra.get("model")
        return isinstance(model, dict) and model.get("state") in _ON_ITS_WAY
    return error.code == "overloaded"
