"""The Flask application that every service starts from: errors, ids, logs, health, metrics, OpenAPI, languages."""

from __future__ import annotations

import errno
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, g, redirect, request
from flask_openapi import Info
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response as WerkzeugResponse

from common.errors import ApiError
from common.messages import Text, _, best_language
from common.settings import ServiceSettings
from common.web import context, logs, metrics
from common.web.openapi import DocumentedApp, answers
from common.web.refusal import close_refused_uploads
from common.web.strict_json import StrictJSON
from common.web.validation import on_validation_error, unread_field

VERSION = "0.1.0"
MAX_JSON_BYTES = 32 * 1024 * 1024
_QUIET = {"/health", "/ready", "/metrics"}
_log = logging.getLogger("frigo.web")

Readiness = Callable[[], Mapping[str, str]]


class ErrorDetail(BaseModel):
    """OpenAI's error object."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


_HTTP_MESSAGES: dict[int, tuple[str, Text]] = {
    400: ("bad_request", _("Requête mal formée.")),
    404: ("not_found", _("Cette adresse n'existe pas.")),
    405: ("method_not_allowed", _("Cette méthode n'est pas acceptée à cette adresse.")),
    411: ("length_required", _("La longueur du corps est requise.")),
    414: ("uri_too_long", _("L'adresse est trop longue.")),
    415: ("unsupported_media_type", _("Ce type de contenu n'est pas accepté ici.")),
    416: ("range_not_satisfiable", _("Cet intervalle est en dehors du fichier.")),
    431: ("headers_too_large", _("Les en-têtes sont trop longs.")),
}


def render(error: ApiError) -> Response:
    """The HTTP answer of an `ApiError`, in the request's language."""
    body = json.dumps(error.body(context.language.get()), ensure_ascii=False)
    response = Response(body, status=error.status, content_type="application/json; charset=utf-8")
    response.headers.update(error.headers)
    return response


def too_large(settings: ServiceSettings) -> ApiError:
    """The 413 of an upload over MAX_UPLOAD_MB."""
    message = _("L'envoi dépasse la limite de %(limit)s Mo (MAX_UPLOAD_MB).", limit=settings.max_upload_mb)
    return ApiError(413, "upload_too_large", message, "file")


class _Service(DocumentedApp):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Every view and hook of ours is a plain function: Flask need not look at each, several times per request."""
        return func


def create_service(name: str, settings: ServiceSettings, *, ready: Readiness | None = None) -> DocumentedApp:
    """The application of service `name`.

    `ready` tells each component's state; the service is ready (``/ready`` 200) when all say "ready".
    """
    logs.configure(name, settings.log_level, settings.log_dir)
    app = _Service(
        f"{name}.wsgi",
        info=Info(title=f"Frigo — {name}", version=VERSION),
        validation_error_status=400,
        validation_error_model=ErrorBody,
        validation_error_callback=on_validation_error,
        doc_prefix="/docs",
        static_folder=None,
    )
    app.json = StrictJSON(app)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = 1024 * 1024
    app.config["MAX_FORM_PARTS"] = 100
    _install_context(app)
    _install_errors(app, settings)
    metrics.install(app, name)
    _install_routes(app, name, ready)
    app.wsgi_app = close_refused_uploads(app.wsgi_app)  # type: ignore[assignment, method-assign]  # Flask's own way
    return app


def log_request(method: str, path: str, status: int, seconds: float) -> None:
    """The line of a request whose answer begins."""
    fields = {"method": method, "path": path, "status": status, "ms": round(seconds * 1000, 1)}
    _log.info("request", extra=fields)


def _install_context(app: DocumentedApp) -> None:
    @app.before_request
    def _enter() -> None:
        g.request_id = context.new_request_id(request.headers.get("X-Request-ID"))
        g.entered = time.perf_counter()
        context.request_id.set(g.request_id)
        context.language.set(best_language(request.headers.get("Accept-Language")))
        if request.is_json:  # application/…+json too
            request.max_content_length = MAX_JSON_BYTES

    @app.after_request
    def _leave(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        if request.path not in _QUIET:
            now = time.perf_counter()
            log_request(request.method, request.path, response.status_code, now - g.get("entered", now))
        return response


def _install_errors(app: DocumentedApp, settings: ServiceSettings) -> None:
    def on_api_error(error: ApiError) -> Response:
        if error.status >= 500:
            _log.warning("refused", extra={"status": error.status, "code": error.code, "reason": str(error.message)})
        return render(error)

    def on_http_error(error: HTTPException) -> Response | WerkzeugResponse:
        if isinstance(error, RequestEntityTooLarge):
            if request.is_json:
                limit = MAX_JSON_BYTES // 2**20
                return render(ApiError(413, "body_too_large", _("Le corps JSON dépasse %(limit)s Mo.", limit=limit)))
            if request.content_length is not None and request.content_length <= settings.max_upload_bytes:
                message = _("Un champ du formulaire, ou leur nombre, dépasse ce qui est accepté.")
                return render(ApiError(413, "form_too_large", message))
            return render(too_large(settings))
        status = error.code or 500
        if status < 400:
            return error.get_response()
        code, message = _HTTP_MESSAGES.get(
            status, ("http_error", _("La requête a été refusée (%(status)s).", status=status))
        )
        answer = render(ApiError(status, code, message))
        if status == 405 and (allowed := getattr(error, "valid_methods", None)):
            answer.headers["Allow"] = ", ".join(allowed)
        return answer

    def on_bug(error: Exception) -> Response:
        if refusal := unread_field(error):
            return render(refusal)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _log.error("disk full", exc_info=error)
            message = _("Le disque du serveur est plein : libérez de la place, puis recommencez.")
            return render(ApiError(507, "disk_full", message))
        _log.error("bug", exc_info=error)
        message = _(
            "Erreur interne. Le journal du service la décrit sous l'identifiant %(id)s.",
            id=g.get("request_id", "?"),
        )
        return render(ApiError(500, "internal_error", message))

    app.register_error_handler(ApiError, on_api_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(Exception, on_bug)


_READY = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["ready", "not_ready"]},
        "service": {"type": "string"},
        "components": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["status", "service", "components"],
}


def _install_routes(app: DocumentedApp, name: str, ready: Readiness | None) -> None:
    not_ready = answers(_READY, "Il manque quelque chose", status="503")["responses"]
    app.tell({"GET /ready": {"responses": answers(_READY, "Prêt")["responses"] | not_ready}})

    @app.get("/health", summary="Le service répond (aucun moteur n'est touché)")
    def health() -> dict[str, Any]:
        return {"status": "ok", "service": name, "version": VERSION}

    @app.get("/ready", summary="Le service peut faire son travail")
    def readiness() -> tuple[dict[str, Any], int]:
        components = dict(ready()) if ready else {}
        ok = all(state == "ready" for state in components.values())
        return {
            "status": "ready" if ok else "not_ready",
            "service": name,
            "components": components,
        }, 200 if ok else 503

    @app.get("/openapi.json", doc_ui=False)
    def openapi_document() -> dict[str, Any]:
        return app.api_doc

    @app.get("/docs", doc_ui=False)
    def docs() -> WerkzeugResponse:
        return redirect("/docs/swagger")
