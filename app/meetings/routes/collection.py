"""/api/meetings: send a recording, try the sample, list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Response, jsonify, request
from flask_openapi import APIBlueprint
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.meetings import uploads
from app.meetings.routes.common import TAG, Desk
from app.meetings.store import MAX_TITLE, NewMeeting
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.validation import to_api_error

SAMPLE_DIR = Path(__file__).resolve().parents[2] / "sample"
_SAMPLE_NAME = "reunion-exemple"


class MeetingForm(BaseModel):
    """Fields sent along with the recording."""

    model_config = ConfigDict(str_strip_whitespace=True)

    title: str | None = Field(default=None, max_length=MAX_TITLE, description="Titre ; sinon le nom du fichier")
    language: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z]{2,4})?$",
        description="Langue parlée (fr, en…) ; sinon reconnue si le modèle le peut, ou supposée",
    )
    num_speakers: int | None = Field(default=None, ge=1, le=50, description="Nombre de personnes ; sinon trouvé")
    min_speakers: int | None = Field(default=None, ge=1, le=50, description="Nombre minimal de personnes")
    max_speakers: int | None = Field(default=None, ge=1, le=50, description="Nombre maximal de personnes")

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_absent(cls, value: object) -> object:
        return None if isinstance(value, str) and value.strip().lower() in {"", "auto"} else value


def _form(fields: dict[str, str]) -> MeetingForm:
    try:
        form = MeetingForm.model_validate(fields)
    except ValidationError as error:
        raise to_api_error(error) from error
    number, least, most = form.num_speakers, form.min_speakers, form.max_speakers
    if not (least or 1) <= (number or least or 1) <= (most or 50):
        message = _("num_speakers, min_speakers et max_speakers se contredisent.")
        raise ApiError(400, "invalid_value", message, "num_speakers" if number else "min_speakers")
    return form


class ListQuery(BaseModel):
    limit: int = Field(default=100, ge=1, le=500)
    offset: int = Field(default=0, ge=0, le=2**31)


_FORM_SCHEMA = MeetingForm.model_json_schema()
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary"}, **_FORM_SCHEMA["properties"]},
            }
        }
    },
}


def collection(desk: Desk) -> APIBlueprint:
    settings = desk.settings
    routes = APIBlueprint("meetings", __name__, url_prefix="/api/meetings", abp_tags=[TAG])

    def accepted(new: NewMeeting) -> tuple[Response, int]:
        meeting_id = desk.store.create(new)
        desk.queue.put(meeting_id)
        response = jsonify({"id": meeting_id})
        response.headers["Location"] = f"/api/meetings/{meeting_id}"
        return response, 202

    @routes.post("", summary="Envoyer un enregistrement", request_body=_BODY)
    def create() -> tuple[Response, int]:
        """The recording is on disk, whole and readable, before the 202."""
        with uploads.receive(request, settings.uploads_dir, max_hours=settings.meeting_max_hours) as upload:
            form = _form(upload.fields)
            return accepted(
                NewMeeting(
                    stored_name=upload.path.name,
                    file_name=upload.file_name,
                    size=upload.size,
                    title=form.title,
                    language=form.language,
                    num_speakers=form.num_speakers,
                    min_speakers=form.min_speakers,
                    max_speakers=form.max_speakers,
                    messages_language=context.language.get(),
                )
            )

    @routes.post("/sample", summary="Essayer avec l'enregistrement d'exemple")
    def sample() -> tuple[Response, int]:
        found = (path for path in sorted(SAMPLE_DIR.glob(f"{_SAMPLE_NAME}.*")) if path.suffix in uploads.MEDIA_TYPES)
        source = next(found, None)
        if source is None:
            raise ApiError(404, "sample_missing", _("L'enregistrement d'exemple n'est pas installé (make sample)."))
        upload = uploads.copy_in(source, settings.uploads_dir)
        title = _("Réunion d'exemple (voix de synthèse)").render(context.language.get())
        return accepted(
            NewMeeting(
                stored_name=upload.path.name,
                file_name=upload.file_name,
                size=upload.size,
                title=title,
                synthetic=True,
                messages_language=context.language.get(),
            )
        )

    @routes.get("", summary="Lister les réunions, les plus récentes d'abord")
    def listed(query: ListQuery) -> dict[str, Any]:
        meetings, total = desk.store.listed(context.language.get(), limit=query.limit, offset=query.offset)
        return {"object": "list", "data": meetings, "total": total}

    return routes
