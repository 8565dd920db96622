"""``POST /api/audio/transcribe``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, jsonify, request
from flask_openapi import APIBlueprint, FileStorage, Tag
from pydantic import BaseModel, Field

from asr.languages import language_code
from asr.service import Ask, AsrService, Done
from asr.transcriber import Progress
from common.web import context
from common.web.sse import sse


class TranscribeForm(BaseModel):
    """A recording and what is known about it."""

    file: FileStorage | None = Field(None, description="WAV, MP3, OGG/Opus, FLAC, M4A, WebM, ou vidéo avec du son")
    language: str | None = Field(None, description="Code ISO 639-1 ; vide : celui du modèle")
    model: str | None = Field(None, description="Modèle du catalogue ; vide : celui qui est prêt")


class StreamQuery(BaseModel):
    """How to answer."""

    stream: bool = Field(False, description="Événements SSE : progress, puis result ou error")


def wants_events(stream: bool) -> bool:
    """By ``?stream=true`` or by ``Accept: text/event-stream``."""
    return stream or request.accept_mimetypes.best == "text/event-stream"


def body(done: Done, language: str) -> dict[str, Any]:
    """The answer's JSON."""
    transcript = done.transcript
    return {
        "text": transcript.text,
        "language": transcript.language,
        "duration": transcript.duration,
        "segments": [{"start": s.start, "end": s.end, "text": s.text} for s in transcript.segments],
        "words": [
            {"word": w.word, "start": w.start, "end": w.end, "confidence": w.confidence} for w in transcript.words
        ],
        "engine": done.engine,
        "model": done.model,
        "warnings": [warning.render(language) for warning in transcript.warnings],
    }


def progress_event(progress: Progress) -> tuple[str, dict[str, Any]]:
    """How far we are, as an SSE event."""
    share = progress.done / progress.total if progress.total else 1.0
    return "progress", {
        "progress": round(min(1.0, share), 4),
        "seconds_done": round(progress.done, 2),
        "seconds_total": round(progress.total, 2),
    }


def transcribe_blueprint(service: AsrService) -> APIBlueprint:
    bp = APIBlueprint("transcribe", __name__, url_prefix="/api/audio", abp_tags=[Tag(name="Transcription")])

    @bp.post("/transcribe", summary="Transcrire un enregistrement")
    def transcribe(form: TranscribeForm, query: StreamQuery) -> Response:
        language = context.language.get()
        steps = service.transcribe(form.file, Ask(language=language_code(form.language)), form.model)
        if not wants_events(query.stream):
            return jsonify(body(service.last(steps), language))

        def events() -> Iterator[tuple[str, dict[str, Any]]]:
            for step in steps:
                if isinstance(step, Progress):
                    yield progress_event(step)
                elif isinstance(step, Done):
                    yield "result", body(step, language)

        return sse(events())

    return bp
