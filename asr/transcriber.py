"""From a recording to a transcript: level, speech, chunks, words, sentences. No Flask, no engine's name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from asr.engines.base import AsrEngine, Task, Word
from asr.languages import language_name
from asr.speech import speech_chunks
from common.audio.decode import AudioReader
from common.audio.level import LevelledAudio
from common.messages import Text, _
from common.models.catalogue import Catalogue

SENTENCE_PAUSE = 0.7


@dataclass(frozen=True)
class Segment:
    """Words said in one breath."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Transcript:
    """What was said. Times in seconds."""

    language: str
    duration: float
    words: list[Word]
    segments: list[Segment]
    warnings: list[Text]

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


@dataclass(frozen=True)
class Progress:
    """How far the work is, in seconds of sound."""

    done: float
    total: float


def transcribe(
    engine: AsrEngine, reader: AudioReader, language: str | None, catalogue: Catalogue
) -> Iterator[Progress | Transcript]:
    """Progress as chunks are decoded, then the transcript. Closing the iterator stops the work.

    Raises ApiError for a recording that can't be read.
    """
    audio = LevelledAudio(reader)
    yield Progress(0.0, audio.seconds)
    spoken = language if language in engine.capabilities.languages else _default_language(engine)
    words: list[Word] = []
    chunks = speech_chunks(audio.blocks(), max_seconds=engine.max_chunk_seconds)
    for heard in engine.transcribe(chunks, Task(language=spoken)):
        words.extend(heard.words)
        yield Progress(min(heard.chunk.end, audio.seconds), audio.seconds)
    yield Transcript(
        language=spoken,
        duration=round(audio.seconds, 3),
        words=words,
        segments=list(_segments(words)),
        warnings=[*_warnings(engine, language, catalogue), *audio.warnings],
    )


def _default_language(engine: AsrEngine) -> str:
    languages = engine.capabilities.languages
    return "fr" if "fr" in languages else min(languages)


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


def _warnings(engine: AsrEngine, language: str | None, catalogue: Catalogue) -> Iterator[Text]:
    spoken = [language_name(code) for code in sorted(engine.capabilities.languages)]
    if language is not None and language not in engine.capabilities.languages:
        better = [entry.key for entry in catalogue if language in entry.languages]
        if better:
            yield _(
                "Le modèle chargé ne comprend pas cette langue : %(language)s (il connaît : %(spoken)s) : le texte "
                "n'est pas fiable. Modèles qui la comprennent : %(models)s.",
                language=language_name(language),
                spoken=spoken,
                models=better,
            )
        else:
            yield _(
                "Le modèle chargé ne comprend pas cette langue : %(language)s (il connaît : %(spoken)s) : le texte "
                "n'est pas fiable. Aucun modèle du catalogue ne la comprend.",
                language=language_name(language),
                spoken=spoken,
            )
    if engine.demo:
        better = [entry.key for entry in catalogue if not entry.demo]
        yield _(
            "Transcription faite par le moteur de démonstration (%(spoken)s seulement), approximative. "
            "Pour un vrai usage, choisissez un de ces modèles : %(models)s.",
            spoken=spoken,
            models=better,
        )
