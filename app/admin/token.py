"""The supervision's own secret: the admin token, made at first start."""

from __future__ import annotations

import logging
import os
import secrets

from app.settings import AppSettings
from common.errors import ApiError
from common.messages import _
from common.private_file import write_private
from common.web.auth import bearer, same_secret

_log = logging.getLogger("frigo.admin")
_ADMIN_FILE = "admin_token"


def admin_token(settings: AppSettings) -> str:
    """ADMIN_TOKEN, else the one kept in DATA_DIR; made, and written once in the log, when there is none yet.

    Several processes may ask at once: one token is made, and all get the same.
    """
    if settings.admin_token is not None:
        return settings.admin_token.get_secret_value()
    path = settings.data_dir / _ADMIN_FILE
    if not path.exists():
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        draft = write_private(settings.data_dir, secrets.token_urlsafe(32))
        try:
            os.link(draft, path)  # fails, and changes nothing, when another process was first
            _log.warning("Jeton de la supervision (ADMIN_TOKEN) créé : %s", draft.read_text(encoding="utf-8"))
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def require(expected: str, given: str | None) -> None:
    """Refuse a request without the admin token. Raises ApiError 401."""
    if not same_secret(given or bearer(), expected):
        raise ApiError(
            401,
            "admin_token_required",
            _("Cette page demande le jeton de la supervision (ADMIN_TOKEN)."),
            headers={"WWW-Authenticate": "Bearer"},
        )
