"""``/api/diarization/voices``: people whose voice is known by name."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask_openapi import APIBlueprint, FileStorage, Tag
from pydantic import BaseModel, Field

from common.audio.upload import opened
from common.web.leaving import client_gone
from diarize.diarizer import Diarizer
from diarize.samples import ENROLMENT, length_told, voice_of
from diarize.voices import Voice, clean_name


class VoiceForm(BaseModel):
    """Whose voice, and a sample of it."""

    name: str = Field(description="Nom de la personne")
    file: FileStorage | None = Field(None, description="De 3 à 60 secondes où elle seule parle")
    model: str | None = Field(None, description="Modèle du catalogue ; vide : celui qui est prêt")


class VoicePath(BaseModel):
    voice_id: str = Field(description="Identifiant de la voix", max_length=64)


def shown(voice: Voice) -> dict[str, Any]:
    """What is told of a voice: everything but the voice."""
    return {
        "id": voice.id,
        "name": voice.name,
        "seconds": voice.seconds,
        "model": voice.model,
        "created": voice.created,
    }


def voices_blueprint(diarizer: Diarizer) -> APIBlueprint:
    bp = APIBlueprint("voices", __name__, url_prefix="/api/diarization/voices", abp_tags=[Tag(name="Voix connues")])

    @bp.post("", summary="Enregistrer une voix (seule son empreinte est gardée)")
    def enrol(form: VoiceForm) -> tuple[Response, int]:
        name = clean_name(form.name)
        with length_told(ENROLMENT, "file"):
            reader = opened(form.file, ENROLMENT.longest)
        gone = client_gone(request.environ)
        with diarizer.registry.use(form.model, gone) as lease, diarizer.place(gone):
            sample = voice_of(lease.engine, reader, ENROLMENT)
            voice = diarizer.voices.add(
                name=name, seconds=sample.seconds, model=lease.entry.key, space=lease.engine.space, vector=sample.vector
            )
        response = jsonify(shown(voice))
        response.headers["Location"] = f"/api/diarization/voices/{voice.id}"
        return response, 201

    @bp.get("", summary="Lister les voix connues")
    def listed() -> dict[str, Any]:
        return {"object": "list", "data": [shown(voice) for voice in diarizer.voices.all()]}

    @bp.delete("/<voice_id>", summary="Oublier une voix")
    def delete(path: VoicePath) -> tuple[str, int]:
        diarizer.voices.delete(path.voice_id)
        return "", 204

    return bp
