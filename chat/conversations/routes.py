"""/api/conversations: conversations that are kept, each of its owner's only."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask_openapi import APIBlueprint, Tag

from chat.access import Access
from chat.conversations import export, shapes
from chat.conversations.following import follow
from chat.conversations.store import ConversationStore
from chat.conversations.talk import Asked, Talk
from chat.keys.account import owner
from common.errors import ApiError
from common.messages import _
from common.web.leaving import stop_if_client_leaves
from common.web.sse import sse_polled

_STREAM = (
    "Des fragments comme ceux de /v1/chat/completions. Le premier événement, `message`, dit la discussion, la question "
    "et la réponse qui commence. La question est gardée avant que rien ne soit demandé, la réponse à mesure qu'elle "
    "vient. Partir ne l'arrête pas : `…/stop` le fait, et `…/messages/{message_id}/events` y revient. Un message "
    "modifié est une question de même `parent_id` ; sans `content`, la question `parent_id` reçoit une autre réponse."
)
_FOLLOW = (
    "Le premier événement dit tout le message (`object: conversation.answer`, `answer`), les suivants ce qui s'y "
    "ajoute, en fragments comme ceux de /v1/chat/completions, ou de nouveau tout le message ; le dernier le dit une "
    "fois fini. Quel que soit le processus qui l'écrit."
)


def conversations_blueprint(access: Access, store: ConversationStore, talk: Talk) -> APIBlueprint:
    bp = APIBlueprint(
        "conversations", __name__, url_prefix="/api/conversations", abp_tags=[Tag(name="Discussions gardées")]
    )

    @bp.before_request
    def guard() -> None:
        access.key_required(counted=request.endpoint == "conversations.complete")

    @bp.get("", summary="Les discussions, la dernière d'abord")
    def listed(query: shapes.ListQuery) -> dict[str, Any]:
        found, more = store.listed(owner(), query.q, query.limit, query.after)
        return {"conversations": [shapes.listed(one) for one in found], "has_more": more}

    @bp.post("", summary="Commencer une discussion")
    def create(body: shapes.ConversationBody) -> tuple[dict[str, Any], int]:
        messages = [message.columns() for message in body.messages]
        return shapes.whole(store.create(owner(), body.title or "", body.model, messages, body.created_at)), 201

    @bp.delete("", summary="Effacer toutes les discussions")
    def clear() -> dict[str, Any]:
        return {"deleted": store.delete_all(owner())}

    @bp.get("/<id>", summary="Une discussion, avec tous ses messages")
    def one(path: shapes.ConversationPath) -> dict[str, Any]:
        return shapes.whole(store.whole(owner(), path.id))

    @bp.patch("/<id>", summary="Renommer, changer de modèle ou de branche")
    def change(path: shapes.ConversationPath, body: shapes.ConversationChange) -> dict[str, Any]:
        values = body.model_dump(exclude_unset=True)
        if not values:
            raise ApiError(400, "missing_field", _("Dites ce qu'il faut changer à la discussion."))
        return shapes.whole(store.change(owner(), path.id, values))

    @bp.delete("/<id>", summary="Effacer une discussion")
    def delete(path: shapes.ConversationPath) -> tuple[str, int]:
        store.delete(owner(), path.id)
        return "", 204

    @bp.post("/<id>/messages", summary="Ajouter un message fait ailleurs (un dessin)")
    def add(path: shapes.ConversationPath, body: shapes.MessageBody) -> tuple[dict[str, Any], int]:
        return shapes.message(store.add(owner(), path.id, body.columns()).messages[-1]), 201

    @bp.post("/<id>/completions", summary="Poser une question, ou demander une autre réponse", description=_STREAM)
    def complete(path: shapes.ConversationPath, body: shapes.TurnBody) -> Response:
        asked = Asked(body.content, body.place(), body.model, body.options())
        return talk.answer(owner(), path.id, asked, shapes.begun)

    @bp.post("/<id>/stop", summary="Arrêter les réponses en cours d'une discussion")
    def stop(path: shapes.ConversationPath) -> dict[str, Any]:
        return {"stopped": talk.stop(owner(), path.id)}

    @bp.get("/<id>/messages/<message_id>/events", summary="Suivre une réponse qui s'écrit (SSE)", description=_FOLLOW)
    def events(path: shapes.MessagePath) -> Response:
        holder = owner()

        def look() -> dict[str, Any]:
            return shapes.message(store.message(holder, path.id, path.message_id))

        look()  # what is not there is told by a status
        stop_if_client_leaves()
        return sse_polled(follow(look), done=True)

    @bp.get("/<id>/export.<ext>", summary="La discussion en Markdown (la branche lue) ou en JSON (tout)")
    def exported(path: shapes.ExportPath) -> Response:
        whole = store.whole(owner(), path.id)
        if path.ext == "json":
            response = jsonify(shapes.whole(whole))
        else:
            response = Response(export.markdown(whole), content_type="text/markdown; charset=utf-8")
        response.headers["Content-Disposition"] = export.attachment(export.title(whole), path.ext)
        return response

    return bp
