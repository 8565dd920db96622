"""From a recording to a transcript: level, speech, chunks, words, sentences. No Flask, no engine's name."""

from __future__ import annotations

from collections.abc import Iterator

from asr.engines.base import AsrEngine, Word
from asr.speech import speech_chunks
from asr.tasks import Plan
from asr.transcript import Partial, Progress, Segment, SpeechReport, Transcript
from common.audio.decode import AudioReader
from common.audio.level import LevelledAudio

__all__ = ["Partial", "Progress", "Segment", "SpeechReport", "Transcript", "transcribe"]
SENTENCE_PAUSE = 0.7


def transcribe(engine: AsrEngine, reader: AudioReader, plan: Plan) -> Iterator[Progress | Partial | Transcript]:
    """Progress as chunks are decoded, then the transcript. Closing the iterator stops the work.

    Raises ApiError for a recording that can't be read.
    """
    audio = LevelledAudio(reader)
    yield Progress(0.0, audio.seconds)
    words: list[Word] = []
    chunks = speech_chunks(audio.blocks(), max_seconds=engine.max_chunk_seconds)
    for heard in engine.transcribe(chunks, plan.task):
        words.extend(heard.words)
        yield Partial(heard.words, heard.chunk.end)
        yield Progress(min(heard.chunk.end, audio.seconds), audio.seconds)
    yield Transcript(
        language=plan.language,
        duration=round(audio.seconds, 3),
        words=words,
        segments=list(_segments(words)),
        warnings=[*plan.warnings, *audio.warnings],
    )


def _segments(words: list[Word]) -> Iterator[Segment]:
    """Cut where the speaker pauses."""
    group: list[Word] = []
    for word in words:
        if group and word.start - group[-1].end >= SENTENCE_PAUSE:
            yield _segment(group)
            group = []
        group.append(word)
    if group:
        yield _segment(group)


def _segment(words: list[Word]) -> Segment:
    return Segment(words[0].start, words[-1].end, " ".join(word.word for word in words))
