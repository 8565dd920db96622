"""/api/status (public) and /api/admin/* (with the admin token)."""

from __future__ import annotations

from typing import Any, Literal

from flask import Flask, request
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from app.admin import adapters, keys, system, token
from app.admin.hub_token import HubTokenDesk, TokenTold
from app.admin.models import ModelDesk
from app.admin.replicas import Acted
from app.peers import Peers
from app.probes import Probe, Probes
from app.settings import AppSettings
from common.errors import ApiError
from common.messages import _
from common.models.load_options import LoadOptions
from common.models.token_routes import HubToken

ADMIN_HEADER = "X-Admin-Token"
_ENDPOINTS = [
    ("POST", "/v1/chat/completions", "Discussion, compatible OpenAI"),
    ("POST", "/v1/completions", "Complétion de texte, compatible OpenAI"),
    ("GET", "/v1/models", "Modèles de langue"),
    ("POST", "/v1/audio/transcriptions", "Transcription, compatible OpenAI"),
    ("POST", "/v1/audio/translations", "Traduction en anglais de ce qui est dit, compatible OpenAI"),
    ("POST", "/api/meetings", "Réunion : enregistrement, compte rendu, diagramme"),
    ("POST", "/api/audio/transcribe", "Transcription avec les temps des mots"),
    ("POST", "/api/diarization/process", "Qui parle quand"),
    ("GET", "/api/diarization/voices", "Voix connues"),
    ("POST", "/api/diagrams", "Texte en diagramme Mermaid"),
    ("POST", "/api/minutes", "Compte rendu d'une transcription"),
    ("GET", "/docs", "Documentation de l'API"),
]


class ActionPath(BaseModel):
    key: str = Field(description="Clé ou alias du modèle")
    action: Literal["download", "load", "unload", "cancel"]


class ActionQuery(BaseModel):
    service: Literal["gpt", "asr", "diarize"] | None = Field(
        default=None, description="Service, si la clé ne suffit pas"
    )


def public_status(probes: Probes) -> APIBlueprint:
    routes = APIBlueprint("status", __name__, abp_tags=[Tag(name="supervision")])

    @routes.get("/api/status", summary="État des services, sans détail")
    def status() -> dict[str, Any]:
        return {"services": [{"name": probe.name, "state": _state(probe)} for probe in probes.health()]}

    return routes


def admin(app: Flask, settings: AppSettings, peers: Peers, probes: Probes) -> APIBlueprint:
    """The routes of the supervision; all want the admin token."""
    expected = token.admin_token(settings)
    desk, hub = ModelDesk(peers), HubTokenDesk(settings, peers)
    routes = APIBlueprint("admin", __name__, url_prefix="/api/admin", abp_tags=[Tag(name="supervision")])

    @app.before_request
    def _closed() -> None:
        if request.path == "/api/admin" or request.path.startswith("/api/admin/"):
            token.require(expected, request.headers.get(ADMIN_HEADER))

    @routes.get("/status", summary="Services, modèles, machine")
    def status() -> dict[str, Any]:
        models = desk.snapshots()
        return {
            "services": [_service(probe, models.get(probe.name)) for probe in probes.health()],
            "system": system.load(settings.data_dir),
            "endpoints": [{"method": m, "path": path, "description": said} for m, path, said in _ENDPOINTS],
            "huggingface_token": hub.given(),
            "huggingface_token_replicas": [one.shown() for one in hub.spread()],
        }

    @routes.post(
        "/models/<path:key>/<action>",
        summary="Télécharger, charger, décharger un modèle, ou y renoncer, dans chaque réplique de son service",
        responses={202: Acted},
    )
    def act(path: ActionPath, query: ActionQuery, body: LoadOptions) -> tuple[dict[str, Any], int]:
        options = body.asked()
        if options and path.action != "load":
            message = _("Seul le chargement (load) d'un modèle a des options.")
            raise ApiError(400, "invalid_value", message, next(iter(options)))
        return desk.act(path.key, path.action, options, query.service), 202

    @routes.post(
        "/huggingface/token",
        summary="Garder le jeton Hugging Face, ici et dans chaque réplique de chaque service",
        responses={200: TokenTold},
    )
    def hub_token(body: HubToken) -> dict[str, Any]:
        return {"replicas": [one.shown() for one in hub.give(body.token.get_secret_value())]}

    adapters.add_routes(routes, peers)
    keys.add_routes(routes, peers)
    return routes


def _state(probe: Probe) -> str:
    return "up" if probe.up else "down"


def _service(probe: Probe, models: dict[str, Any] | None) -> dict[str, Any]:
    known = models or {}
    shown: dict[str, Any] = _probe(probe) | {
        "name": probe.name,
        "models": known.get("models", []),
        "selection": known.get("selection"),
        "engines": known.get("engines", []),
    }
    if len(probe.replicas) > 1:
        chosen = known.get("chosen", {})
        shown["replicas"] = [_probe(one) | {"chosen": chosen.get(one.url)} for one in probe.replicas]
    return shown


def _probe(probe: Probe) -> dict[str, Any]:
    shown = {"url": probe.url, "state": _state(probe), "latency_ms": probe.latency_ms}
    return shown | {"error": probe.error} if probe.error else shown
