"""``POST /api/audio/transcribe``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from flask import Response, jsonify, request
from flask_openapi import APIBlueprint, FileStorage, Tag
from pydantic import BaseModel, Field

from asr.languages import language_code
from asr.routes.docs import errors, shapes
from asr.routes.steps import attended, finished
from asr.service import AsrService, Done
from asr.tasks import THRESHOLDS, Ask
from asr.transcription.transcript import Partial, SpeechReport
from common.audio.progress import Progress
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.leaving import client_gone
from common.web.sse import sse, wants_events


class TranscribeForm(BaseModel):
    """A recording and what is known about it."""

    file: FileStorage | None = Field(None, description="WAV, MP3, OGG/Opus, FLAC, M4A, WebM, ou vidéo avec du son")
    language: str = Field(
        "",
        description="Langue parlée, code ISO 639-1 (fr, fr-CA…) ; vide ou auto : reconnue si le modèle le peut, sinon "
        "ASR_LANGUAGE, sinon le français, et la réponse le dit",
        examples=["fr"],
    )
    model: str = Field("", description="Clé ou alias du catalogue ; vide ou default : celui qui est prêt")
    prompt: str = Field("", description="Noms propres et sigles, pour l'orthographe, si le modèle prend une amorce")
    temperature: float = Field(
        0.0, ge=0, le=1, allow_inf_nan=False, description="0 : toujours la même réponse ; au-delà, si le modèle le peut"
    )
    task: Literal["transcribe", "translate"] = Field("transcribe", description="Écrire ce qui est dit, ou le traduire")
    target: str = Field("", description="Langue de la traduction ; vide : en", examples=["en"])
    vad_threshold: float | None = Field(
        None,
        ge=THRESHOLDS[0],
        le=THRESHOLDS[1],
        description="Sûreté à partir de laquelle un son est de la parole ; plus bas : plus de voix faibles et de bruit",
    )
    start: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Seconde où commencer : le `through` d'un événement partial"
    )

    def ask(self) -> Ask:
        """What the service is asked. Raises ApiError 400."""
        if self.target and self.task != "translate":
            message = _("« target » n'a de sens qu'avec task=translate.")
            raise ApiError(400, "invalid_value", message, "target")
        return Ask(
            language=language_code(self.language),
            translate=self.task == "translate",
            target=language_code(self.target, "target"),
            prompt=self.prompt,
            temperature=self.temperature,
            vad_threshold=self.vad_threshold,
            start=self.start,
        )


class StreamQuery(BaseModel):
    """How to answer."""

    stream: bool = Field(
        False,
        description="Événements SSE (aussi par « Accept: text/event-stream ») : progress, partial, result ou error",
    )


class Span(BaseModel):
    """Seconds from the recording's beginning."""

    start: float
    end: float


class SegmentShape(Span):
    text: str


class WordShape(Span):
    word: str
    confidence: float | None = Field(description="De 0 à 1 ; null quand le modèle n'en donne pas")


class SpeechShape(BaseModel):
    voiced_seconds: float = Field(description="Secondes entendues comme de la parole")
    dropped_seconds: float = Field(description="Secondes sans parole, qu'aucun modèle n'a lues")
    undecoded: list[Span] = Field(description="Parole dans laquelle le modèle n'a trouvé aucun mot")


class TranscriptShape(BaseModel):
    """The answer, and the data of the `result` event."""

    text: str
    language: str = Field(description="La langue la plus parlée", examples=["fr"])
    languages: list[str] = Field(description="Les langues entendues, la plus parlée d'abord")
    target: str | None = Field(description="La langue de la traduction ; null sans traduction")
    duration: float
    segments: list[SegmentShape]
    words: list[WordShape]
    speech: SpeechShape
    engine: str
    model: str
    warnings: list[str]


class ProgressShape(BaseModel):
    """Data of a `progress` event."""

    progress: float = Field(description="De 0 à 1")
    seconds_done: float
    seconds_total: float
    rate: float | None = Field(None, description="Secondes de son par seconde de travail ; absent tant qu'inconnu")


class PartialShape(BaseModel):
    """Data of a `partial` event: words that will not change any more."""

    words: list[WordShape]
    through: float = Field(description="Tout ce qui commence avant est connu : à redonner comme start pour reprendre")


def body(done: Done, language: str) -> dict[str, Any]:
    """The answer's JSON."""
    transcript = done.transcript
    return {
        "text": transcript.text,
        "language": transcript.language,
        "languages": list(transcript.languages or (transcript.language,)),
        "target": transcript.target,
        "duration": transcript.duration,
        "segments": [{"start": s.start, "end": s.end, "text": s.text} for s in transcript.segments],
        "words": [_word(word) for word in transcript.words],
        "speech": _speech(transcript.speech),
        "engine": done.engine,
        "model": done.model,
        "warnings": [warning.render(language) for warning in transcript.warnings],
    }


def _word(word: Any) -> dict[str, Any]:
    return {"word": word.word, "start": word.start, "end": word.end, "confidence": word.confidence}


def _speech(report: SpeechReport) -> dict[str, Any]:
    return {
        "voiced_seconds": round(report.voiced_seconds, 3),
        "dropped_seconds": round(report.dropped_seconds, 3),
        "undecoded": [{"start": round(start, 3), "end": round(end, 3)} for start, end in report.undecoded],
    }


def partial_event(partial: Partial) -> tuple[str, dict[str, Any]]:
    """Words that are final, as an SSE event."""
    return "partial", {"words": [_word(word) for word in partial.words], "through": round(partial.through, 3)}


def transcribe_blueprint(service: AsrService) -> APIBlueprint:
    bp = APIBlueprint("transcribe", __name__, url_prefix="/api/audio", abp_tags=[Tag(name="Transcription")])

    @bp.post(
        "/transcribe",
        summary="Transcrire un enregistrement, ou le traduire",
        responses={
            200: shapes(
                "La transcription ; en flux, des événements progress, partial, puis result ou error",
                [TranscriptShape],
                events=[ProgressShape, PartialShape, TranscriptShape],
            ),
            **errors(400, 404, 413, 503),
        },
    )
    def transcribe(form: TranscribeForm, query: StreamQuery) -> Response:
        language, gone = context.language.get(), client_gone(request.environ)
        steps = service.transcribe(form.file, form.ask(), form.model or None)
        if not wants_events(asked=query.stream):
            return jsonify(body(finished(steps, gone), language))

        def events() -> Iterator[tuple[str, dict[str, Any]]]:
            for step in attended(steps, gone):
                match step:
                    case Progress():
                        yield step.event()
                    case Partial():
                        yield partial_event(step)
                    case Done():
                        yield "result", body(step, language)

        return sse(events())

    return bp
