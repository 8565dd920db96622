"""GET /api/tools: what the server can run for a model."""

from __future__ import annotations

from typing import Any

from flask_openapi import APIBlueprint, Tag

from chat.access import Access
from chat.tools.toolbox import Toolbox


def tools_blueprint(access: Access, toolbox: Toolbox) -> APIBlueprint:
    """The endpoint over `toolbox`."""
    bp = APIBlueprint("tools", __name__, url_prefix="/api/tools", abp_tags=[Tag(name="Outils")])
    bp.before_request(access.service_or_key)

    @bp.get("", summary="Les outils que le serveur exécute, et pourquoi certains manquent")
    def listed() -> dict[str, Any]:
        return {"tools": toolbox.public()}

    return bp
