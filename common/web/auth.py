"""Secrets of the wire: compared in constant time, never logged."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable

from flask import request
from pydantic import SecretStr

from common.errors import ApiError
from common.messages import _
from common.settings import ServiceSettings

SERVICE_TOKEN_HEADER = "X-Service-Token"  # noqa: S105  the header's name, not a secret
_OPEN_PATHS = {"/health", "/ready", "/metrics", "/openapi.json"}


def same_secret(given: str, expected: str) -> bool:
    """True when both are the same, in a time that says nothing about where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())


def any_same_secret(given: str, accepted: Iterable[SecretStr]) -> bool:
    """`same_secret` against every accepted value, without stopping at the first match."""
    found = False
    for candidate in accepted:
        found |= same_secret(given, candidate.get_secret_value())
    return found


def bearer() -> str:
    """The token of ``Authorization: Bearer …``, or an empty string."""
    scheme, _sep, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_service(settings: ServiceSettings) -> bool:
    """True when the caller is one of our services (it knows SERVICE_TOKEN)."""
    expected = settings.service_token
    given = request.headers.get(SERVICE_TOKEN_HEADER, "")
    return expected is not None and same_secret(given, expected.get_secret_value())


def service_only(settings: ServiceSettings) -> Callable[[], None]:
    """A ``before_request`` guard: with SERVICE_TOKEN set, only services get past health, metrics and docs."""

    def guard() -> None:
        if settings.service_token is None or request.path in _OPEN_PATHS or request.path.startswith("/docs"):
            return
        if not is_service(settings):
            raise ApiError(
                401,
                "service_token_required",
                _("Ce service ne répond qu'aux autres services : SERVICE_TOKEN manque ou diffère."),
            )

    return guard
