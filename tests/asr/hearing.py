"""A transcription of beeps (`tests.asr.tones`) in this process, step by step: for tests of what is around a model."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from asr.engines.base import AsrEngine, Capabilities, Chunk, Heard, Task, Word
from asr.engines.process.client import spread_words
from asr.tasks import Ask, plan
from asr.transcription.transcriber import transcribe
from asr.transcription.transcript import Partial, Transcript
from common.audio.decode import AudioReader, FloatArray
from common.audio.progress import Progress
from common.models.catalogue import Catalogue
from tests.asr import tones
from tests.common.audio_files import wav_bytes

Change = Callable[[Chunk, list[Word]], list[Word]]


class ToneEngine:
    """Reads beeps at once. `change` has the last word on what it hears in a chunk; `seen`: the chunks it was given."""

    name = "tones"
    demo = False

    def __init__(
        self,
        *,
        max_chunk_seconds: float = 10.0,
        change: Change = lambda chunk, words: words,
        language: Callable[[Chunk], str | None] = lambda chunk: None,
        **capabilities: Any,
    ) -> None:
        self.max_chunk_seconds = max_chunk_seconds
        self.capabilities: Capabilities = tones.capabilities(**capabilities)
        self._change, self._language = change, language
        self.seen: list[tuple[float, float]] = []
        self.tasks: list[Task] = []

    def transcribe(self, chunks: Iterable[Chunk], task: Task) -> Iterator[Heard]:
        for chunk in chunks:
            self.seen.append((chunk.start, chunk.end))
            self.tasks.append(task)
            yield Heard(chunk, self._change(chunk, self._words(chunk)), self._language(chunk))

    def _words(self, chunk: Chunk) -> list[Word]:
        read = tones.read(chunk.samples)
        if not self.capabilities.word_times:
            return spread_words(" ".join(word for word, *_rest in read), chunk)
        return [Word(word, chunk.start + start, chunk.start + end, sure) for word, start, end, sure in read]

    def close(self) -> None:
        pass


def steps(
    engine: AsrEngine, samples: FloatArray, default_language: str | None = None, **ask: Any
) -> list[Progress | Partial | Transcript]:
    """Every step of the transcription of `samples`."""
    asked = plan(Ask(**{"language": "fr", **ask}), engine, Catalogue([]), default_language)
    return list(transcribe(engine, AudioReader(io.BytesIO(wav_bytes(samples))), asked))


def transcript(engine: AsrEngine, samples: FloatArray, **ask: Any) -> Transcript:
    """The last step."""
    last = steps(engine, samples, **ask)[-1]
    assert isinstance(last, Transcript)
    return last


def texts(words: Iterable[Word]) -> list[str]:
    return [word.word for word in words]
