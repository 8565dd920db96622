"""``POST /api/diarization/process``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Literal

from flask import Response, jsonify, request
from flask_openapi import APIBlueprint, FileStorage, Tag
from pydantic import BaseModel, Field

from common.web import context
from common.web.sse import sse
from diarize.diarizer import Diarization, Diarizer, speaker_range
from diarize.rttm import rttm

MOST_SPEAKERS = 50


class ProcessForm(BaseModel):
    """A recording and what is known about it."""

    file: FileStorage | None = Field(None, description="WAV, MP3, OGG/Opus, FLAC, M4A, WebM, ou vidéo avec du son")
    num_speakers: int | None = Field(None, ge=1, le=MOST_SPEAKERS, description="Nombre exact de personnes")
    min_speakers: int | None = Field(None, ge=1, le=MOST_SPEAKERS)
    max_speakers: int | None = Field(None, ge=1, le=MOST_SPEAKERS)
    model: str | None = Field(None, description="Modèle du catalogue ; vide : celui qui est prêt")


class ProcessQuery(BaseModel):
    """How to answer."""

    format: Literal["json", "rttm"] = "json"
    stream: bool = Field(False, description="Événements SSE : progress, puis result ou error")


def body(found: Diarization, language: str) -> dict[str, Any]:
    """The answer's JSON."""
    return {
        "segments": [{"speaker": s.speaker, "start": s.start, "end": s.end} for s in found.segments],
        "speakers": [{"id": speaker, "seconds": total} for speaker, total in found.speaker_seconds().items()],
        "duration": found.duration,
        "engine": found.engine,
        "model": found.model,
        "warnings": [warning.render(language) for warning in found.warnings],
    }


def process_blueprint(diarizer: Diarizer) -> APIBlueprint:
    bp = APIBlueprint("process", __name__, url_prefix="/api/diarization", abp_tags=[Tag(name="Diarisation")])

    @bp.post("/process", summary="Qui parle quand")
    def process(form: ProcessForm, query: ProcessQuery) -> Response:
        language = context.language.get()
        speakers = speaker_range(form.num_speakers, form.min_speakers, form.max_speakers)
        steps = diarizer.process(form.file, speakers, form.model)
        if query.stream or request.accept_mimetypes.best == "text/event-stream":

            def events() -> Iterator[tuple[str, dict[str, Any]]]:
                for step in steps:
                    if isinstance(step, Diarization):
                        yield "result", body(step, language)
                    else:
                        yield "progress", {"progress": round(step.share, 4)}

            return sse(events())
        found = diarizer.last(steps)
        if query.format == "rttm":
            name = PurePath(form.file.filename or "").stem if form.file is not None else ""
            return Response(rttm(found.segments, name), content_type="text/plain; charset=utf-8")
        return jsonify(body(found, language))

    return bp
