"""Who may call: /v1 with a key (or none while there is none), the rest for services and key holders.

A key is one of OPENAI_API_KEYS, which nothing limits, or one made in the dashboard (chat.keys), which is counted.
Our own services are neither limited nor counted.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Response, after_this_request, request
from sqlalchemy.exc import SQLAlchemyError

from chat.keys import account
from chat.keys.account import Account
from chat.keys.limits import Limits
from chat.keys.store import KeyStore
from chat.keys.usage import Usage, UsageBook
from common.errors import ApiError
from common.messages import Text, _
from common.settings import ServiceSettings
from common.web.auth import any_same_secret, bearer, is_service

_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_log = logging.getLogger("frigo.keys")


class Access:
    """The guards of chat's routes."""

    def __init__(self, settings: ServiceSettings, keys: KeyStore, book: UsageBook, limits: Limits) -> None:
        self._settings = settings
        self._keys = keys
        self._book = book
        self._limits = limits

    def key_required(self, *, counted: bool = True) -> None:
        """A ``before_request`` guard of /v1: a right key, or one of our services. Open while no key was made.

        `counted`: a POST is one of the requests that the key is limited to.
        """
        if self._known(counted=counted):
            return
        with _answering():
            closed = bool(self._settings.openai_api_keys) or self._keys.any()
        if closed:
            raise _refused(_("Clé API absente.") if not bearer() else _("Clé API incorrecte."))

    def service_or_key(self) -> None:
        """A ``before_request`` guard of /api: with SERVICE_TOKEN set, one of our services or a right key."""
        if self._known() or self._settings.service_token is None:
            return
        if bearer():
            raise _refused(_("Clé API incorrecte."))
        message = _("Ce point d'accès demande une clé API, ou le SERVICE_TOKEN des services.")
        raise ApiError(401, "service_token_required", message, headers=_CHALLENGE)

    def service_only(self) -> None:
        """A ``before_request`` guard: one of our services, and nobody while there is no SERVICE_TOKEN."""
        account.current.set(None)
        if self._settings.service_token is None:
            raise ApiError(401, "service_token_required", _("Gérer les clés demande que SERVICE_TOKEN soit défini."))
        if not is_service(self._settings):
            message = _("Ce point d'accès ne répond qu'aux services de Frigo (SERVICE_TOKEN).")
            raise ApiError(401, "service_token_required", message)

    def _known(self, *, counted: bool = True) -> bool:
        """Whether the caller is a service or holds a key; who holds a managed one is counted from here on."""
        account.current.set(None)
        if is_service(self._settings):
            return True
        given = bearer()
        if not given:
            return False
        if any_same_secret(given, self._settings.openai_api_keys):
            return True
        with _answering():
            holder = self._keys.holder(given)
            if holder is None:
                return False
            if holder.state != "active":
                said = _("Clé API révoquée.") if holder.state == "revoked" else _("Clé API expirée.")
                raise _refused(said)
            self._admit(Account(holder, self._book), counted=counted and request.method == "POST")
        return True

    def _admit(self, holder: Account, *, counted: bool) -> None:
        if counted:
            holder.admit(self._limits)
        account.current.set(holder)

        @after_this_request
        def _leave(response: Response) -> Response:
            response.headers.update(holder.headers)
            if counted and response.status_code < 400:
                holder.count(Usage(requests=1))
            return response


@contextmanager
def _answering() -> Iterator[None]:
    """What needs the database: nobody passes while it does not answer."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        _log.warning("the database of the keys does not answer", exc_info=True)
        message = _("La base des clés ne répond pas ; réessayez dans quelques secondes.")
        raise ApiError(503, "database_unavailable", message, headers={"Retry-After": "3"}) from error


def _refused(message: Text) -> ApiError:
    return ApiError(401, "invalid_api_key", message, headers=_CHALLENGE)
