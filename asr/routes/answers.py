"""OpenAI's answers of transcriptions and translations. Times in seconds."""

from __future__ import annotations

import math
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from asr.diarized import Said
from asr.engines.base import Word
from asr.languages import english_name
from asr.transcription.transcript import Segment, Transcript
from common.errors import ApiError
from common.messages import _

_LEAST_CONFIDENCE = 1e-6
"""A confidence of 0 has no logarithm."""


class Usage(BaseModel):
    """What is counted: whole seconds of sound, as OpenAI's whisper does."""

    type: Literal["duration"] = Field(default="duration", json_schema_extra={"enum": ["duration"]})
    seconds: int = Field(examples=[9])


class Logprob(BaseModel):
    """A word (with the space before it) and the logarithm of the model's confidence in it."""

    token: str
    logprob: float
    bytes: list[int]


class DetectedLanguage(BaseModel):
    code: str


class JsonAnswer(BaseModel):
    """response_format=json. `languages` with the model name gpt-transcribe only; neither is there in a translation."""

    text: str
    languages: list[DetectedLanguage] | None = None
    logprobs: list[Logprob] | None = None
    usage: Usage | None = None


class VerboseSegment(BaseModel):
    """What only Whisper has (tokens, seek, no_speech_prob) is empty or 0; avg_logprob is 0 without confidences."""

    id: int
    seek: int = 0
    start: float
    end: float
    text: str
    tokens: list[int] = []
    temperature: float = 0.0
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float = 0.0


class VerboseWord(BaseModel):
    word: str
    start: float
    end: float


class VerboseAnswer(BaseModel):
    """response_format=verbose_json."""

    task: Literal["transcribe", "translate"]
    language: str = Field(description="En anglais, comme chez OpenAI", examples=["french"])
    duration: float
    text: str
    segments: list[VerboseSegment] | None = None
    words: list[VerboseWord] | None = None
    usage: Usage | None = None


class DiarizedSegment(BaseModel):
    """A stretch of one speaker; also the data of a transcript.text.segment event."""

    type: Literal["transcript.text.segment"] = Field(
        default="transcript.text.segment", json_schema_extra={"enum": ["transcript.text.segment"]}
    )
    id: str = Field(examples=["seg_001"])
    start: float
    end: float
    text: str
    speaker: str = Field(description="Le nom d'une voix connue, sinon A, B… dans l'ordre où on les entend")


class DiarizedAnswer(BaseModel):
    """response_format=diarized_json. `text` has a line for each segment: who, then what."""

    task: Literal["transcribe"] = Field(default="transcribe", json_schema_extra={"enum": ["transcribe"]})
    duration: float
    text: str
    segments: list[DiarizedSegment]
    usage: Usage


class TextDelta(BaseModel):
    """Words that are final; the deltas of a stream make its text."""

    type: Literal["transcript.text.delta"] = Field(
        default="transcript.text.delta", json_schema_extra={"enum": ["transcript.text.delta"]}
    )
    delta: str
    logprobs: list[Logprob] | None = None


class TextDone(BaseModel):
    """The last event."""

    type: Literal["transcript.text.done"] = Field(
        default="transcript.text.done", json_schema_extra={"enum": ["transcript.text.done"]}
    )
    text: str
    languages: list[DetectedLanguage] | None = None
    logprobs: list[Logprob] | None = None
    usage: Usage


def dumped(answer: BaseModel) -> dict[str, Any]:
    """The answer's JSON, without the optional fields that it has not."""
    return answer.model_dump(exclude_none=True)


def usage(transcript: Transcript) -> Usage:
    return Usage(seconds=math.ceil(transcript.duration))


def logprobs(words: Iterable[Word], *, first: bool = True) -> list[Logprob]:
    """One per word. Raises ApiError 400 when the model gives no confidence."""
    found = []
    for word in words:
        if word.confidence is None:
            message = _("Le modèle chargé ne dit pas sa confiance : « logprobs » ne peut pas être donné.")
            raise ApiError(400, "unsupported_parameter", message, "include")
        token = word.word if first else f" {word.word}"
        found.append(Logprob(token=token, logprob=_log(word.confidence), bytes=list(token.encode())))
        first = False
    return found


def languages(transcript: Transcript) -> list[DetectedLanguage]:
    return [DetectedLanguage(code=code) for code in transcript.languages]


def verbose(
    transcript: Transcript, *, translated: bool, temperature: float, granularities: Sequence[str]
) -> VerboseAnswer:
    """Whisper's long answer."""
    shown: dict[str, Any] = {}
    if "segment" in granularities:
        shown["segments"] = _segments(transcript, temperature)
    if "word" in granularities:
        shown["words"] = [VerboseWord(word=w.word, start=w.start, end=w.end) for w in transcript.words]
    return VerboseAnswer(
        task="translate" if translated else "transcribe",
        language=english_name((transcript.target or "en") if translated else transcript.language),
        duration=transcript.duration,
        text=transcript.text,
        usage=None if translated else usage(transcript),
        **shown,
    )


def diarized(transcript: Transcript, said: Sequence[Said]) -> DiarizedAnswer:
    segments = diarized_segments(said)
    text = "\n".join(f"{segment.speaker}: {segment.text}" for segment in segments)
    return DiarizedAnswer(duration=transcript.duration, text=text, segments=segments, usage=usage(transcript))


def diarized_segments(said: Sequence[Said]) -> list[DiarizedSegment]:
    return [
        DiarizedSegment(id=f"seg_{number:03}", start=part.start, end=part.end, text=part.text, speaker=part.speaker)
        for number, part in enumerate(said, 1)
    ]


def _segments(transcript: Transcript, temperature: float) -> list[VerboseSegment]:
    words = sorted(transcript.words, key=lambda word: word.start)
    starts = [word.start for word in words]

    def within(segment: Segment) -> list[Word]:
        return words[bisect_left(starts, segment.start) : bisect_left(starts, segment.end)]

    return [
        VerboseSegment(
            id=number,
            start=segment.start,
            end=segment.end,
            text=segment.text,
            temperature=temperature,
            avg_logprob=_average(within(segment)),
            compression_ratio=_compression(segment.text),
        )
        for number, segment in enumerate(transcript.segments)
    ]


def _average(words: Sequence[Word]) -> float:
    logs = [_log(word.confidence) for word in words if word.confidence is not None]
    return round(sum(logs) / len(logs), 4) if logs else 0.0


def _log(confidence: float) -> float:
    return round(math.log(min(1.0, max(confidence, _LEAST_CONFIDENCE))), 6)


def _compression(text: str) -> float:
    raw = text.encode()
    return round(len(raw) / len(zlib.compress(raw)), 4)
