"""``/api/huggingface/token`` of every service that asks the hub: what app tells it of the token given to app.

Behind the guard of the whole service (SERVICE_TOKEN). The token goes in and never comes out.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from common.errors import ApiError
from common.hub.token import SAVED_TOKEN, GivenToken, keep_token, read_token
from common.messages import _
from common.models.registry import Registry

_log = logging.getLogger("frigo.hub")
LATEST = 2**53 - 1


class HubToken(BaseModel):
    """A Hugging Face token; empty to forget the one that is kept."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    token: SecretStr = Field(max_length=512, description="Jeton Hugging Face ; vide : l'oublier.")

    @field_validator("token")
    @classmethod
    def _of_visible_letters(cls, value: SecretStr) -> SecretStr:
        if any(not "!" <= letter <= "~" for letter in value.get_secret_value()):
            message = _("Un jeton n'a que des lettres sans accent, des chiffres et des signes, sans espace.")
            raise ApiError(400, "invalid_value", message, "token")
        return value


class TimedHubToken(HubToken):
    """A token, and since when it holds: the latest one wins."""

    since: int = Field(ge=0, le=LATEST, description="Moment où il a été donné, en millisecondes Unix.")


def hub_token_blueprint(data_dir: Path, registry: Registry[Any]) -> APIBlueprint:
    """Where app tells the token; a default model that failed is tried again with it."""
    bp = APIBlueprint("hub_token", __name__, url_prefix="/api/huggingface", abp_tags=[Tag(name="Modèles")])
    path = data_dir / SAVED_TOKEN

    @bp.get("/token", summary="Si un jeton du hub a été donné, et quand")
    def known() -> dict[str, Any]:
        return _shown(read_token(path))

    @bp.put("/token", summary="Garder le jeton du hub qu'app a reçu, s'il est plus récent")
    def keep(body: TimedHubToken) -> dict[str, Any]:
        told = GivenToken(body.token.get_secret_value(), body.since)
        kept = keep_token(path, told)
        if kept == told:
            _log.info("hub token told", extra={"given": bool(kept.token)})
            if kept.token and registry.state(registry.selection.chosen) == "error":
                registry.start()
        return _shown(kept)

    return bp


def _shown(kept: GivenToken | None) -> dict[str, Any]:
    return {"given": bool(kept and kept.token), "since": kept.since if kept else None}
