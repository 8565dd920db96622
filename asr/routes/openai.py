"""``POST /v1/audio/transcriptions`` and ``/v1/audio/translations``, as OpenAI's clients call them."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

from flask import Response, jsonify, request
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel

from asr.diarized import Diarization, Diarizer, KnownSpeaker, Said, joined
from asr.routes import answers
from asr.routes.docs import errors, shapes
from asr.routes.forms import FORM_BYTES, FORM_PARTS, TranscriptionForm, TranslationForm
from asr.routes.steps import Steps, attended, finished
from asr.service import AsrService, Done
from asr.transcription.transcript import Partial, Transcript
from common.audio.upload import opened
from common.speech.cues import Passage
from common.speech.subtitles import srt, vtt
from common.web import context
from common.web.leaving import client_gone
from common.web.sse import sse

MODEL_HEADER, WARNINGS_HEADER = "X-Frigo-Model", "X-Frigo-Warnings"  # the second is a JSON list, in ASCII
SECONDS_HEADER = "X-Frigo-Audio-Seconds"
TEXT, SRT, VTT = "text/plain", "application/x-subrip", "text/vtt"
Gone = Callable[[], bool]
_EVENTS: list[type[BaseModel]] = [answers.TextDelta, answers.DiarizedSegment, answers.TextDone]
_TRANSCRIPTION = shapes(
    "La forme que response_format demande ; en flux, des événements puis [DONE]. En-têtes : X-Frigo-Model (qui a "
    "servi), X-Frigo-Audio-Seconds (la durée comptée), X-Frigo-Warnings (liste JSON de ce qu'il faut savoir du texte)",
    [answers.JsonAnswer, answers.VerboseAnswer, answers.DiarizedAnswer],
    events=_EVENTS,
    text=(TEXT, SRT, VTT),
)
_TRANSLATION = shapes(
    "La forme que response_format demande", [answers.JsonAnswer, answers.VerboseAnswer], text=(TEXT, SRT, VTT)
)


def openai_blueprint(service: AsrService, diarizer: Diarizer, max_seconds: float) -> APIBlueprint:
    """`max_seconds`: the longest recording taken."""
    bp = APIBlueprint("openai", __name__, url_prefix="/v1/audio", abp_tags=[Tag(name="OpenAI")])

    @bp.before_request
    def _room_for_samples() -> None:
        request.max_form_memory_size, request.max_form_parts = FORM_BYTES, FORM_PARTS

    @bp.post(
        "/transcriptions",
        summary="Transcrire, au format d'OpenAI",
        responses={200: _TRANSCRIPTION, **errors(400, 404, 413, 503)},
    )
    def transcriptions(form: TranscriptionForm) -> Response:
        form.check()
        ask, known, gone = form.ask(), form.known(), client_gone(request.environ)
        if not form.diarized:
            steps = attended(service.transcribe(form.file, ask, form.wanted), gone)
            if form.include:
                steps = _sure(steps)
            if form.streamed:
                return sse(_events(steps, form), done=True)
            done = finished(steps, gone)
            return _told(_answer(done, form), done)
        opened(form.file, max_seconds)  # what is wrong with the file is said whether or not diarize is there
        assert form.file is not None  # noqa: S101  `opened` refuses it
        diarization = diarizer.begin(form.file, known)
        try:
            steps = attended(service.transcribe(form.file, ask, form.wanted), gone)
            if form.streamed:
                return sse(_diarized_events(steps, diarization, known, gone), done=True, on_close=diarization.close)
            done, said = _diarized(steps, diarization, known, gone)
        except BaseException:
            diarization.close()
            raise
        return _told(_diarized_answer(done, said, form), done)

    @bp.post(
        "/translations",
        summary="Traduire en anglais, au format d'OpenAI",
        responses={200: _TRANSLATION, **errors(400, 404, 413, 503)},
    )
    def translations(form: TranslationForm) -> Response:
        steps = service.transcribe(form.file, form.ask(), form.wanted)
        done = finished(steps, client_gone(request.environ))
        return _told(_translation(done.transcript, form), done)

    return bp


def _told(response: Response, done: Done) -> Response:
    """What OpenAI's bodies have no place for: which model served, and what the reader must know of the text."""
    response.headers[MODEL_HEADER] = done.model
    response.headers[SECONDS_HEADER] = str(answers.usage(done.transcript).seconds)
    if done.transcript.warnings:
        language = context.language.get()
        response.headers[WARNINGS_HEADER] = json.dumps([text.render(language) for text in done.transcript.warnings])
    return response


def _translation(transcript: Transcript, form: TranslationForm) -> Response:
    if form.response_format == "verbose_json":
        long = answers.verbose(transcript, translated=True, temperature=form.temperature, granularities=["segment"])
        return jsonify(answers.dumped(long))
    if form.response_format == "json":
        return jsonify({"text": transcript.text})
    return _file(form.response_format, transcript, [Passage(transcript.words)])


def _answer(done: Done, form: TranscriptionForm) -> Response:
    transcript = done.transcript
    match form.response_format:
        case "json":
            return jsonify(answers.dumped(_json(transcript, form)))
        case "verbose_json":
            granularities = form.timestamp_granularities or ["segment"]
            long = answers.verbose(
                transcript, translated=False, temperature=form.temperature, granularities=granularities
            )
            return jsonify(answers.dumped(long))
    return _file(form.response_format, transcript, [Passage(transcript.words)])


def _sure(steps: Steps) -> Steps:
    """The steps, until a word comes without the model's confidence: raises ApiError 400 then, not hours later."""
    with closing(steps):
        for step in steps:
            if isinstance(step, Partial):
                answers.logprobs(step.words)
            yield step


def _json(transcript: Transcript, form: TranscriptionForm) -> answers.JsonAnswer:
    return answers.JsonAnswer(
        text=transcript.text,
        languages=answers.languages(transcript) if form.model == "gpt-transcribe" else None,
        logprobs=answers.logprobs(transcript.words) if form.include else None,
        usage=answers.usage(transcript),
    )


def _file(kind: str, transcript: Transcript, passages: list[Passage]) -> Response:
    writers: dict[str, tuple[str, Callable[[], str]]] = {
        "text": (TEXT, lambda: transcript.text + "\n"),
        "srt": (SRT, lambda: srt(passages)),
        "vtt": (VTT, lambda: vtt(passages)),
    }
    media, write = writers[kind]
    return Response(write(), content_type=f"{media}; charset=utf-8")


def _events(steps: Steps, form: TranscriptionForm) -> Iterator[dict[str, Any]]:
    """The words as they become final, then the whole."""
    with closing(_deltas(steps, logprobs=bool(form.include))) as deltas:
        done = yield from deltas
    last = _json(done.transcript, form)
    yield answers.dumped(
        answers.TextDone(
            text=last.text,
            languages=last.languages,
            logprobs=last.logprobs,
            usage=answers.usage(done.transcript),
        )
    )


def _deltas(steps: Steps, *, logprobs: bool = False) -> Generator[dict[str, Any], None, Done]:
    """A delta for each partial result; returns the end."""
    first = True
    with closing(steps):
        for step in steps:
            if isinstance(step, Done):
                return step
            if isinstance(step, Partial) and step.words:
                text = " ".join(word.word for word in step.words)
                delta = answers.TextDelta(
                    delta=text if first else f" {text}",
                    logprobs=answers.logprobs(step.words, first=first) if logprobs else None,
                )
                first = False
                yield answers.dumped(delta)
    raise AssertionError("a transcription ends with its transcript or with an error")


def _diarized(steps: Steps, diarization: Diarization, known: list[KnownSpeaker], gone: Gone) -> tuple[Done, list[Said]]:
    """Both works side by side; the failure of one ends the other."""
    for step in _while_well(steps, diarization):
        if isinstance(step, Done):
            return step, joined(step.transcript.words, diarization.turns(gone), known)
    raise AssertionError("a transcription ends with its transcript or with an error")


def _diarized_events(
    steps: Steps, diarization: Diarization, known: list[KnownSpeaker], gone: Gone
) -> Iterator[dict[str, Any]]:
    """The words as they become final; who said them once the whole recording has been heard; then the whole text."""
    with closing(_deltas(_while_well(steps, diarization))) as deltas:
        done = yield from deltas
    for segment in answers.diarized_segments(joined(done.transcript.words, diarization.turns(gone), known)):
        yield answers.dumped(segment)
    yield answers.dumped(answers.TextDone(text=done.transcript.text, usage=answers.usage(done.transcript)))


def _while_well(steps: Steps, diarization: Diarization) -> Steps:
    """The steps of a transcription, until the diarization beside it fails."""
    with closing(steps):
        for step in steps:
            diarization.check()
            yield step


def _diarized_answer(done: Done, said: list[Said], form: TranscriptionForm) -> Response:
    if form.response_format == "diarized_json":
        return jsonify(answers.dumped(answers.diarized(done.transcript, said)))
    passages = [Passage(part.words, part.speaker) for part in said]
    return _file(form.response_format, done.transcript, passages)
