"""POST /api/minutes."""

from __future__ import annotations

from typing import Any

from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from chat.access import Access
from chat.language import Language
from chat.minutes.write import MinutesWriter, Segment, as_transcript
from common.web import context
from common.web.leaving import stop_if_client_leaves

MAX_CHARS = 2_000_000


class MinutesBody(BaseModel):
    """A transcript, as text (one turn a line, "Name: sentence") or as segments."""

    model_config = ConfigDict(extra="forbid")

    transcript: str | None = Field(default=None, max_length=MAX_CHARS, description="Un tour de parole par ligne")
    segments: list[Segment] | None = Field(default=None, max_length=50_000)
    language: Language | None = Field(default=None, description="fr ou en ; absent : celle de la transcription")
    model: str | None = Field(default=None, max_length=500)


def minutes_blueprint(access: Access, writer: MinutesWriter) -> APIBlueprint:
    """The endpoint over `writer`."""
    bp = APIBlueprint("minutes", __name__, url_prefix="/api/minutes", abp_tags=[Tag(name="Comptes rendus")])
    bp.before_request(access.service_or_key)

    @bp.post("", summary="Résumé, décisions, actions et points ouverts d'une transcription")
    def write(body: MinutesBody) -> dict[str, Any]:
        stop_if_client_leaves()
        transcript = body.transcript if body.transcript is not None else as_transcript(body.segments or [])
        written = writer.write(transcript, language=body.language, model=body.model)
        return {
            **written.minutes.model_dump(),
            "markdown": written.markdown,
            "model": written.model,
            "warnings": [warning.render(context.language.get()) for warning in written.warnings],
        }

    return bp
