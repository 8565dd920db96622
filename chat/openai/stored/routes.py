"""/v1/chat/completions/…: what was kept by `store: true`, as OpenAI's stored completions."""

from __future__ import annotations

import re
from typing import Any, Literal

from flask import request
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from chat.access import Access
from chat.keys.account import owner
from chat.llm import is_default
from chat.openai.aliases import Chooser
from chat.openai.stored.metadata import checked
from chat.openai.stored.models import StoredCompletion
from chat.openai.stored.store import CompletionStore
from common.errors import ApiError
from common.messages import _

Order = Literal["asc", "desc"]
_LABEL = re.compile(r"metadata\[(.+)\]")


class CompletionPath(BaseModel):
    completion_id: str = Field(description="Identifiant de la réponse")


class PageQuery(BaseModel):
    after: str | None = Field(default=None, max_length=200, description="Dernier identifiant de la page précédente")
    limit: int = Field(default=20, ge=0, le=100)
    order: Order = "asc"


class CompletionsQuery(PageQuery):
    """Also `metadata[nom]=valeur`."""

    model: str | None = Field(default=None, max_length=500, description="Celles de ce modèle")


class Labels(BaseModel):
    metadata: dict[str, Any] | None = Field(description="Jusqu'à 16 étiquettes")


def stored_blueprint(access: Access, store: CompletionStore, chooser: Chooser) -> APIBlueprint:
    bp = APIBlueprint(
        "stored", __name__, url_prefix="/v1/chat/completions", abp_tags=[Tag(name="OpenAI : réponses gardées")]
    )
    bp.before_request(access.key_required)

    @bp.get("", summary="Les réponses gardées (store: true)")
    def completions(query: CompletionsQuery) -> dict[str, Any]:
        labels = {found[1]: value for name, value in request.args.items() if (found := _LABEL.fullmatch(name))}
        page = store.page(
            owner(),
            after=query.after,
            limit=query.limit,
            order=query.order,
            models=_meant(query.model, chooser),
            labels=labels,
        )
        return _listed([shown(row) for row in page.rows], has_more=page.has_more)

    @bp.get("/<completion_id>", summary="Une réponse gardée")
    def completion(path: CompletionPath) -> dict[str, Any]:
        return shown(store.one(path.completion_id, owner()))

    @bp.post("/<completion_id>", summary="Changer les étiquettes d'une réponse gardée")
    def relabel(path: CompletionPath, body: Labels) -> dict[str, Any]:
        return shown(store.relabel(path.completion_id, owner(), checked(body.metadata)))

    @bp.delete("/<completion_id>", summary="Oublier une réponse gardée")
    def remove(path: CompletionPath) -> dict[str, Any]:
        store.remove(path.completion_id, owner())
        return {"object": "chat.completion.deleted", "id": path.completion_id, "deleted": True}

    @bp.get("/<completion_id>/messages", summary="Les messages auxquels elle répond")
    def messages(path: CompletionPath, query: PageQuery) -> dict[str, Any]:
        rows = [_message(message) for message in store.one(path.completion_id, owner()).messages]
        if query.order == "desc":
            rows.reverse()
        if query.after is not None:
            at = next((at for at, row in enumerate(rows) if row["id"] == query.after), None)
            if at is None:
                raise ApiError(404, "not_found", _("Message inconnu : « %(id)s ».", id=query.after), "after")
            rows = rows[at + 1 :]
        return _listed(rows[: query.limit], has_more=len(rows) > query.limit)

    return bp


def shown(row: StoredCompletion) -> dict[str, Any]:
    """The completion as it was answered, and what it was asked with."""
    return {**row.answer, "metadata": row.labels}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    parts = content if isinstance(content, list) else None
    if parts is not None:
        content = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
    return {"refusal": None, **message, "content": content, "content_parts": parts}


def _listed(rows: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    first, last = (rows[0]["id"], rows[-1]["id"]) if rows else (None, None)
    return {"object": "list", "data": rows, "first_id": first, "last_id": last, "has_more": has_more}


def _meant(model: str | None, chooser: Chooser) -> list[str] | None:
    """The names under which answers of `model` were kept; None: of any."""
    if model is None:
        return None
    meant = chooser.aliases.meant(model, chooser.known)
    if is_default(meant):
        return None
    return [model, *chooser.names(meant)] if chooser.known(meant) else [model]
