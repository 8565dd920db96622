"""``POST /api/diarization/process``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Literal

from flask import Response, jsonify, request
from flask_openapi import APIBlueprint, FileStorage, Tag
from pydantic import BaseModel, ConfigDict, Field

from common.audio.decode import AudioReader
from common.audio.progress import Progress
from common.audio.upload import from_data_url
from common.errors import ApiError
from common.messages import _
from common.speech.rttm import rttm
from common.web import context
from common.web.leaving import client_gone
from common.web.sse import sse, wants_events
from diarize.diarizer import Diarization, Diarizer, Reference, Segment, Speaker, speaker_range
from diarize.samples import REFERENCE, length_told
from diarize.voices import clean_name

MOST_SPEAKERS = 50
MOST_REFERENCES = 10
MOST_REFERENCE_BYTES = 2 * 1024 * 1024  # a minute of uncompressed speech
_FORM_BYTES = MOST_REFERENCES * MOST_REFERENCE_BYTES * 4 // 3 + 1024 * 1024


class ProcessForm(BaseModel):
    """A recording and what is known about it."""

    model_config = ConfigDict(populate_by_name=True)

    file: FileStorage | None = Field(None, description="WAV, MP3, OGG/Opus, FLAC, M4A, WebM, ou vidéo avec du son")
    num_speakers: int | None = Field(None, ge=1, le=MOST_SPEAKERS, description="Nombre exact de personnes")
    min_speakers: int | None = Field(None, ge=1, le=MOST_SPEAKERS, description="Nombre minimal de personnes")
    max_speakers: int | None = Field(None, ge=1, le=MOST_SPEAKERS, description="Nombre maximal de personnes")
    model: str | None = Field(None, description="Modèle du catalogue ; vide : celui qui est prêt")
    identify: bool = Field(True, description="Nommer les personnes dont la voix est connue")
    known_speaker_names: list[str] = Field(
        default_factory=list,
        alias="known_speaker_names[]",
        description="Noms de voix connues pour cette seule requête",
    )
    known_speaker_references: list[str] = Field(
        default_factory=list,
        alias="known_speaker_references[]",
        description="Un extrait de chacune, dans le même ordre : URL data:, de 2 à 60 secondes",
    )


class ProcessQuery(BaseModel):
    """How to answer."""

    format: Literal["json", "rttm"] = "json"
    stream: bool = Field(False, description="Événements SSE : progress, puis result ou error")


def body(found: Diarization, language: str) -> dict[str, Any]:
    """The answer's JSON."""
    return {
        "segments": [_turn(segment) for segment in found.segments],
        "exclusive": [_turn(segment) for segment in found.exclusive],
        "speakers": [_speaker(speaker) for speaker in found.speakers],
        "duration": found.duration,
        "engine": found.engine,
        "model": found.model,
        "warnings": [warning.render(language) for warning in found.warnings],
    }


def _turn(segment: Segment) -> dict[str, Any]:
    return {"speaker": segment.speaker, "start": segment.start, "end": segment.end}


def _speaker(speaker: Speaker) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": speaker.id,
        "seconds": speaker.seconds,
        "share": speaker.share,
        "turns": speaker.turns,
    }
    if speaker.match:
        shown |= {"name": speaker.match.name, "similarity": speaker.match.similarity}
    return shown


def references(names: list[str], samples: list[str]) -> list[Reference]:
    """The voices given with the request. Raises ApiError 400 that names the field at fault."""
    if len(names) != len(samples):
        message = _("known_speaker_names et known_speaker_references doivent aller par paires.")
        raise ApiError(400, "invalid_value", message, "known_speaker_references")
    if len(names) > MOST_REFERENCES:
        message = _("%(most)s voix au plus peuvent accompagner une requête.", most=MOST_REFERENCES)
        raise ApiError(400, "invalid_value", message, "known_speaker_names")
    return [
        Reference(clean_name(name, "known_speaker_names"), _reader(sample))
        for name, sample in zip(names, samples, strict=True)
    ]


def _reader(sample: str) -> AudioReader:
    param = "known_speaker_references"
    data = from_data_url(sample, MOST_REFERENCE_BYTES, param)
    reader = AudioReader(io.BytesIO(data), max_seconds=REFERENCE.longest, param=param)
    with length_told(REFERENCE, param):
        reader.probe()
    return reader


def process_blueprint(diarizer: Diarizer) -> APIBlueprint:
    bp = APIBlueprint("process", __name__, url_prefix="/api/diarization", abp_tags=[Tag(name="Diarisation")])

    @bp.before_request
    def _room_for_references() -> None:
        request.max_form_memory_size = _FORM_BYTES

    @bp.post("/process", summary="Qui parle quand")
    def process(form: ProcessForm, query: ProcessQuery) -> Response:
        language = context.language.get()
        steps = diarizer.process(
            form.file,
            speaker_range(form.num_speakers, form.min_speakers, form.max_speakers),
            form.model,
            identify=form.identify,
            references=references(form.known_speaker_names, form.known_speaker_references),
            gone=client_gone(request.environ),
        )
        if wants_events(asked=query.stream):

            def events() -> Iterator[tuple[str, dict[str, Any]]]:
                for step in steps:
                    yield step.event() if isinstance(step, Progress) else ("result", body(step, language))

            return sse(events())
        found = diarizer.last(steps)
        if query.format == "rttm":
            name = PurePath(form.file.filename or "").stem if form.file is not None else ""
            return Response(rttm(found.segments, name, found.names), content_type="text/plain; charset=utf-8")
        return jsonify(body(found, language))

    return bp
