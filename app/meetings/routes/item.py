"""/api/meetings/{id}: read, rename, cancel, try again, delete."""

from __future__ import annotations

from typing import Annotated, Any

from flask_openapi import APIBlueprint
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.meetings.routes.common import TAG, Desk, MeetingPath
from app.meetings.store import MAX_TITLE
from common.web import context

SpeakerId = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]
SpeakerName = Annotated[str, StringConstraints(max_length=80, strip_whitespace=True, pattern=r"^[^\r\n\x00]*$")]


class MeetingChange(BaseModel):
    """What a person may correct."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = Field(default=None, min_length=1, max_length=MAX_TITLE, description="Titre")
    speakers: dict[SpeakerId, SpeakerName] | None = Field(
        default=None, max_length=100, description="Nom de chaque personne ; vide : son numéro"
    )


def item(desk: Desk) -> APIBlueprint:
    routes = APIBlueprint("meeting", __name__, url_prefix="/api/meetings", abp_tags=[TAG])

    def shown(meeting_id: str) -> dict[str, Any]:
        return desk.store.get(meeting_id, context.language.get())

    @routes.get("/<meeting_id>", summary="Lire une réunion")
    def get(path: MeetingPath) -> dict[str, Any]:
        return shown(path.meeting_id)

    @routes.patch("/<meeting_id>", summary="Changer le titre ou le nom des personnes")
    def edit(path: MeetingPath, body: MeetingChange) -> dict[str, Any]:
        desk.store.edit(path.meeting_id, title=body.title, speakers=body.speakers)
        return shown(path.meeting_id)

    @routes.post("/<meeting_id>/cancel", summary="Arrêter le traitement")
    def cancel(path: MeetingPath) -> dict[str, Any]:
        desk.store.cancel(path.meeting_id)
        return shown(path.meeting_id)

    @routes.post("/<meeting_id>/retry", summary="Reprendre les étapes qui ont échoué")
    def retry(path: MeetingPath) -> tuple[dict[str, Any], int]:
        desk.store.retry(path.meeting_id)
        desk.queue.put(path.meeting_id)
        return shown(path.meeting_id), 202

    @routes.delete("/<meeting_id>", summary="Supprimer la réunion et son enregistrement")
    def delete(path: MeetingPath) -> tuple[str, int]:
        desk.store.delete(path.meeting_id)
        return "", 204

    return routes
