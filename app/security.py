"""What the browser may do with our pages, and which browser requests may change something."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, request

from app.settings import AppSettings
from common.errors import ApiError
from common.messages import _

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # MUI and Mermaid write style elements
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


HEADERS = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(self)"),
)


def add_headers(response: Response) -> Response:
    """An ``after_request``: the policy of every answer but the API's own documentation page, which scripts inline."""
    for name, value in HEADERS[1:] if request.path.startswith("/docs") else HEADERS:
        response.headers.setdefault(name, value)
    return response


def guard(settings: AppSettings) -> None:
    """A ``before_request``: the host must be ours, and another site's page may change nothing.

    Programs send neither Origin nor Sec-Fetch-Site and are not concerned.
    """
    if settings.allowed_hosts and host_name(request.host) not in settings.allowed_hosts:
        raise ApiError(421, "wrong_host", _("Ce nom d'hôte n'est pas accepté (ALLOWED_HOSTS)."))
    if request.method in _SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    foreign = site not in (None, "same-origin", "none") if site else origin is not None and not _ours(origin, settings)
    if foreign:
        raise ApiError(403, "cross_site", _("Une page d'un autre site ne peut rien modifier ici."))


def host_name(host: str) -> str:
    """Without its port; nothing of one that is no host."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _ours(origin: str, settings: AppSettings) -> bool:
    """True for the address that the browser used, or the public one (a proxy may change the Host header)."""
    try:
        host = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    public = urlsplit(settings.main_app_url or "").netloc.lower()
    return bool(host) and host in {request.host.lower(), public}
