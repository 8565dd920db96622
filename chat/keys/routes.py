"""/api/keys: the keys made in the dashboard, for our services (app guards its own address with ADMIN_TOKEN)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask import Response, jsonify
from flask_openapi import APIBlueprint, Tag
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from chat.access import Access
from chat.keys import secret
from chat.keys.models import ApiKey
from chat.keys.store import DayUsage, KeyStore, state
from chat.keys.usage import NOTHING, Usage
from common.database import utc_now
from common.errors import ApiError
from common.messages import _


def _ahead(moment: datetime) -> datetime:
    if moment <= utc_now():
        raise ValueError("cette date est passée")
    return moment


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
ModelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Moment = Annotated[AwareDatetime, AfterValidator(_ahead)]


class KeyLimits(BaseModel):
    """What may be set when a key is made, and changed later."""

    model_config = ConfigDict(extra="forbid")

    expires_at: Moment | None = Field(default=None, description="Fin de validité (ISO 8601 avec fuseau)")
    models: list[ModelName] | None = Field(
        default=None, min_length=1, max_length=200, description="Modèles permis ; absent : tous"
    )
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000, strict=True)
    tokens_per_day: int | None = Field(
        default=None, ge=1, le=2**53, strict=True, description="Tokens lus et écrits, par jour UTC"
    )


class KeyBody(KeyLimits):
    """A key to make."""

    name: Name = Field(description="À qui, ou à quoi, sert la clé")


class KeyChange(KeyLimits):
    """What to change; null takes a limit away."""

    name: Name = Field(default="", validate_default=False)


class KeyPath(BaseModel):
    id: str = Field(description="Identifiant de la clé")


class ForgetQuery(BaseModel):
    forget: bool = Field(default=False, description="Effacer aussi la clé et ce qu'elle a consommé")


class DaysQuery(BaseModel):
    days: int = Field(default=30, ge=1, le=366, description="Nombre de jours (UTC), aujourd'hui compris")


def keys_blueprint(access: Access, keys: KeyStore) -> APIBlueprint:
    bp = APIBlueprint("keys", __name__, url_prefix="/api/keys", abp_tags=[Tag(name="Clés")])
    bp.before_request(access.service_only)

    @bp.get("", summary="Les clés, et ce qu'elles ont consommé aujourd'hui")
    def listed() -> dict[str, Any]:
        used = keys.used_today()
        return {"keys": [_shown(row, used.get(row.id, NOTHING)) for row in keys.all()]}

    @bp.post("", summary="Faire une clé ; elle n'est montrée qu'une fois")
    def create(body: KeyBody) -> tuple[Response, int]:
        row, key = keys.create(**body.model_dump())
        answer = jsonify({**_shown(row, NOTHING), "key": key})
        answer.headers["Cache-Control"] = "no-store"
        return answer, 201

    @bp.patch("/<id>", summary="Changer le nom, la fin ou les limites d'une clé")
    def change(path: KeyPath, body: KeyChange) -> dict[str, Any]:
        values = body.model_dump(exclude_unset=True)
        if not values:
            raise ApiError(400, "missing_field", _("Dites ce qu'il faut changer à la clé."))
        row = keys.change(path.id, values)
        return _shown(row, keys.used_today().get(row.id, NOTHING))

    @bp.delete("/<id>", summary="Révoquer une clé, sur-le-champ")
    def remove(path: KeyPath, query: ForgetQuery) -> tuple[str, int]:
        if query.forget:
            keys.forget(path.id)
        else:
            keys.revoke(path.id)
        return "", 204

    @bp.get("/usage", summary="Consommation de toutes les clés, par jour")
    def usage(query: DaysQuery) -> dict[str, Any]:
        return {"usage": [_day(row) for row in keys.usage(query.days)]}

    @bp.get("/<id>/usage", summary="Consommation d'une clé, par jour")
    def usage_of(path: KeyPath, query: DaysQuery) -> dict[str, Any]:
        return {"usage": [_day(row) for row in keys.usage(query.days, path.id)]}

    return bp


def _shown(row: ApiKey, today: Usage) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "prefix": secret.prefix(row.id),
        "state": state(row.expires_at, row.revoked_at),
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
        "models": row.models,
        "requests_per_minute": row.requests_per_minute,
        "tokens_per_day": row.tokens_per_day,
        "today": today.public(),
    }


def _day(row: DayUsage) -> dict[str, Any]:
    return {"key_id": row.key_id, "day": row.day.isoformat(), **row.used.public()}
