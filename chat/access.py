"""Who may call: /v1 with one of OPENAI_API_KEYS (or none when none is set), the rest for services and key holders."""

from __future__ import annotations

from collections.abc import Callable

from common.errors import ApiError
from common.messages import Text, _
from common.settings import ServiceSettings
from common.web.auth import any_same_secret, bearer, is_service


def key_required(settings: ServiceSettings) -> Callable[[], None]:
    """A ``before_request`` guard of /v1: a right key, or one of our services. Open when no key is set."""

    def guard() -> None:
        if settings.openai_api_keys and not is_service(settings) and not _has_key(settings):
            raise _refused(_("Clé API absente.") if not bearer() else _("Clé API incorrecte."))

    return guard


def service_or_key(settings: ServiceSettings) -> Callable[[], None]:
    """A ``before_request`` guard of /api: with SERVICE_TOKEN set, one of our services or a right key."""

    def guard() -> None:
        if settings.service_token is None or is_service(settings) or _has_key(settings):
            return
        if bearer():
            raise _refused(_("Clé API incorrecte."))
        message = _("Ce point d'accès demande une clé API, ou le SERVICE_TOKEN des services.")
        raise ApiError(401, "service_token_required", message, headers={"WWW-Authenticate": "Bearer"})

    return guard


def _has_key(settings: ServiceSettings) -> bool:
    given = bearer()
    return bool(given) and any_same_secret(given, settings.openai_api_keys)


def _refused(message: Text) -> ApiError:
    return ApiError(401, "invalid_api_key", message, headers={"WWW-Authenticate": "Bearer"})
