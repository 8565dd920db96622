"""``POST /v1/audio/transcriptions``, as OpenAI's clients call it."""

from __future__ import annotations

import math
import zlib
from typing import Any, Literal

from flask import Response, jsonify
from flask_openapi import APIBlueprint, FileStorage, Tag
from pydantic import BaseModel, Field

from asr.engines.base import Word
from asr.languages import language_code
from asr.service import Ask, AsrService, Done
from asr.subtitles import srt, vtt
from asr.transcriber import Segment
from common.errors import ApiError
from common.messages import _
from common.speech.cues import Passage

OPENAI_DEFAULT = "whisper-1"  # what OpenAI's clients send when they do not choose


class TranscriptionForm(BaseModel):
    """OpenAI's fields that have a meaning here."""

    file: FileStorage | None = None
    model: str | None = Field(None, description="Modèle du catalogue ; vide ou whisper-1 : celui qui est prêt")
    language: str | None = None
    response_format: Literal["json", "text", "srt", "vtt", "verbose_json"] = "json"
    granularities: list[Literal["word", "segment"]] = Field(default=["segment"], alias="timestamp_granularities[]")
    stream: bool = False


def openai_blueprint(service: AsrService) -> APIBlueprint:
    bp = APIBlueprint("openai", __name__, url_prefix="/v1/audio", abp_tags=[Tag(name="OpenAI")])

    @bp.post("/transcriptions", summary="Transcrire, au format d'OpenAI")
    def transcriptions(form: TranscriptionForm) -> Response:
        if form.stream:
            message = _("La transcription au fil de l'eau n'est pas encore offerte à cette adresse.")
            raise ApiError(400, "unsupported_parameter", message, "stream")
        model = None if form.model == OPENAI_DEFAULT else form.model
        done = service.last(service.transcribe(form.file, Ask(language=language_code(form.language)), model))
        transcript = done.transcript
        match form.response_format:
            case "text":
                return Response(transcript.text + "\n", content_type="text/plain; charset=utf-8")
            case "srt":
                return Response(srt([Passage(transcript.words)]), content_type="application/x-subrip; charset=utf-8")
            case "vtt":
                return Response(vtt([Passage(transcript.words)]), content_type="text/vtt; charset=utf-8")
            case "verbose_json":
                return jsonify(_verbose(done, form.granularities))
        return jsonify({"text": transcript.text, "usage": _usage(done)})

    return bp


def _usage(done: Done) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(done.transcript.duration)}


def _verbose(done: Done, granularities: list[Literal["word", "segment"]]) -> dict[str, Any]:
    transcript = done.transcript
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": transcript.language,
        "duration": transcript.duration,
        "text": transcript.text,
        "usage": _usage(done),
    }
    if "segment" in granularities:
        body["segments"] = [
            _segment(number, segment, transcript.words) for number, segment in enumerate(transcript.segments)
        ]
    if "word" in granularities:
        body["words"] = [{"word": w.word, "start": w.start, "end": w.end} for w in transcript.words]
    return body


def _segment(number: int, segment: Segment, words: list[Word]) -> dict[str, Any]:
    """OpenAI's segment; what only Whisper has (tokens, seek) is empty."""
    logs = [
        math.log(max(w.confidence, 1e-3))
        for w in words
        if w.confidence is not None and segment.start <= w.start < segment.end
    ]
    raw = segment.text.encode()
    return {
        "id": number,
        "seek": 0,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(sum(logs) / len(logs), 4) if logs else 0.0,
        "compression_ratio": round(len(raw) / len(zlib.compress(raw)), 4),
        "no_speech_prob": 0.0,
    }
