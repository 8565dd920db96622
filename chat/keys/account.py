"""The key under which the request at hand is answered: what it may ask, what it used, what its headers say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import UTC, datetime, time, timedelta

from chat.keys.limits import Limits, Window
from chat.keys.store import Holder
from chat.keys.usage import Usage, UsageBook, today
from common.database import utc_now
from common.errors import ApiError
from common.messages import Text, _

current: ContextVar[Account | None] = ContextVar("account", default=None)
"""None: nobody counts (a service, a key of OPENAI_API_KEYS, or an open /v1)."""


def owner() -> str | None:
    """Whose what is kept for the request at hand is: the managed key that asks, None for the house."""
    account = current.get()
    return account.holder.id if account else None


class Account:
    """One per request of a key's holder."""

    def __init__(self, holder: Holder, book: UsageBook) -> None:
        self.holder = holder
        self._book = book
        self.headers: dict[str, str] = {}

    def count(self, used: Usage) -> None:
        self._book.add(self.holder.id, used)

    @property
    def restricted(self) -> bool:
        """Whether the key is for some models only."""
        return self.holder.models is not None

    def may_use(self, names: Iterable[str]) -> bool:
        """Whether the key allows a model that has these names (its id and aliases)."""
        allowed = self.holder.models
        return allowed is None or bool({name.lower() for name in allowed} & {name.lower() for name in names})

    def check_model(self, name: str, names: Callable[[], Iterable[str]]) -> None:
        """Raises OpenAI's 403 unless the key allows the model `name`, whose other names are asked for if need be."""
        if not self.may_use([name]) and not self.may_use(names()):
            message = _("Cette clé n'a pas accès au modèle « %(model)s ».", model=name)
            raise ApiError(403, "model_not_found", message, "model", extra={"type": "invalid_request_error"})

    def admit(self, limits: Limits) -> None:
        """Count a request against the key's limits. Raises OpenAI's 429; `headers` tell what is left."""
        self._check_tokens()
        limit = self.holder.requests_per_minute
        if limit is None:
            return
        window = limits.take(self.holder.id)
        self._tell("requests", limit, limit - window.used, window.seconds_left)
        if window.used > limit:
            message = _("Limite de %(limit)s requêtes par minute atteinte pour cette clé.", limit=limit)
            raise self._limited("requests", message, window)

    def _check_tokens(self) -> None:
        limit = self.holder.tokens_per_day
        if limit is None:
            return
        used, left = self.holder.tokens_today, _seconds_of_today()
        self._tell("tokens", limit, limit - used, left)
        if used >= limit:
            message = _("Limite de %(limit)s tokens par jour (UTC) atteinte pour cette clé.", limit=limit)
            raise self._limited("tokens", message, Window(used, left))

    def _tell(self, what: str, limit: int, left: int, seconds: float) -> None:
        self.headers[f"x-ratelimit-limit-{what}"] = str(limit)
        self.headers[f"x-ratelimit-remaining-{what}"] = str(max(0, left))
        self.headers[f"x-ratelimit-reset-{what}"] = _go_duration(seconds)

    def _limited(self, what: str, message: Text, window: Window) -> ApiError:
        """OpenAI's 429. Their clients try again by themselves, but for what will not change in a minute."""
        seconds = max(1, math.ceil(window.seconds_left))
        again = {} if seconds <= 60 else {"x-should-retry": "false"}
        headers = {"Retry-After": str(seconds), **again, **self.headers}
        return ApiError(429, "rate_limit_exceeded", message, headers=headers, extra={"type": what})


def _seconds_of_today() -> float:
    tomorrow = datetime.combine(today() + timedelta(days=1), time(), UTC)
    return (tomorrow - utc_now()).total_seconds()


def _go_duration(seconds: float) -> str:
    """As OpenAI's headers write it: ``12ms``, ``1.5s``, ``6m0s``, ``2h13m5s``."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    if seconds < 60:
        return f"{round(seconds, 3):g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"
