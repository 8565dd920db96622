"""/api/meetings/{id}/speakers/{speaker}/voice: let diarize know a person by the voice heard in a meeting."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response, jsonify
from flask_openapi import APIBlueprint
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.meetings import voice
from app.meetings.routes.common import TAG, Desk, MeetingPath
from app.offload import in_thread
from common.errors import ApiError
from common.messages import _

Name = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True, pattern=r"^[^\r\n\x00]*$")]


class SpeakerPath(MeetingPath):
    speaker: str = Field(description="Identifiant de la personne dans la réunion", max_length=64)


class VoiceBody(BaseModel):
    """Whose voice it is."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="Nom de la personne")


def voices(desk: Desk) -> APIBlueprint:
    routes = APIBlueprint("meeting_voices", __name__, url_prefix="/api/meetings", abp_tags=[TAG])

    @routes.post("/<meeting_id>/speakers/<speaker>/voice", summary="Reconnaître désormais cette personne à sa voix")
    def enrol(path: SpeakerPath, body: VoiceBody) -> tuple[Response, int]:
        recording, _name = desk.store.recording(path.meeting_id)
        turns = desk.store.turns(path.meeting_id)
        spans = voice.best_spans(turns, path.speaker)
        if not spans:
            message = _("« %(speaker)s » ne parle pas dans cette réunion.", speaker=path.speaker)
            raise ApiError(404, "speaker_not_found", message, "speaker")
        if not recording.is_file():
            raise ApiError(410, "recording_missing", _("L'enregistrement n'est plus sur le disque."))
        sample = in_thread(voice.cut, recording, spans)
        known: dict[str, Any] = voice.enrol(desk.peers.diarize, body.name, sample)
        desk.store.edit(path.meeting_id, title=None, speakers={path.speaker: str(known["name"])})
        return jsonify(known), 201

    return routes
