"""From a recording to a transcript: level, speech, chunks, words, sentences. No Flask, no engine's name."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from asr.engines.base import AsrEngine, Chunk, Heard, Word
from asr.tasks import Plan
from asr.transcription.coverage import Stretch, holes, merged, pieces
from asr.transcription.guard import believable
from asr.transcription.segments import segments
from asr.transcription.speech import speech_chunks
from asr.transcription.stitch import CLOSE, CLOSE_SPREAD, joined
from asr.transcription.transcript import Partial, SpeechReport, Transcript
from asr.transcription.written import language_of
from common.audio.decode import AudioReader
from common.audio.level import LevelledAudio
from common.audio.progress import Progress
from common.messages import Text, _, clock

_SHOWN = 5
_SAME = 0.001


class Transcription:
    """One recording on its way to a transcript; another engine can go on where one ended (`steps`, again).

    Raises ApiError for a recording that can't be read.
    """

    def __init__(self, reader: AudioReader, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._plan = plan
        self._clock = clock
        self._start = plan.start  # what begins before is done
        self._audio: LevelledAudio | None = None
        self._words: list[Word] = []
        self._undecoded: list[Stretch] = []
        self._heard: Counter[str] = Counter()

    def steps(self, engine: AsrEngine) -> Iterator[Progress | Partial | Transcript]:
        """Progress and words as chunks are decoded, then the transcript. Closing the iterator stops the work.

        Raises ApiError for a recording that can't be read, or when the engine fails. Silence is an empty text.
        """
        if self._audio is None:
            self._audio = LevelledAudio(self._reader)
        audio, total = self._audio, self._audio.seconds
        yield Progress(min(self._start, total), total)
        began, first = self._clock(), self._start
        work = _Work(engine, replace(self._plan, start=first))
        chunks = speech_chunks(audio.blocks(), max_seconds=engine.max_chunk_seconds, threshold=self._plan.vad_threshold)
        for heard in engine.transcribe(work.wanted(chunks), self._plan.task):
            yield self._keep(work.take(heard), work)
            done = min(heard.chunk.end, total)
            yield Progress(done, total, round((done - first) / max(self._clock() - began, 1e-3), 2))
        yield self._keep(Partial(work.finish(), math.ceil(total * 1000) / 1000), work)
        yield self._transcript(audio, work, engine)

    def _keep(self, partial: Partial, work: _Work) -> Partial:
        self._start = partial.through
        self._words += partial.words
        self._undecoded += work.undecoded
        self._heard += work.heard
        work.undecoded, work.heard = [], Counter()
        return partial

    def _transcript(self, audio: LevelledAudio, work: _Work, engine: AsrEngine) -> Transcript:
        heard = tuple(language for language, _weight in self._heard.most_common())
        return Transcript(
            language=heard[0] if heard else self._written(engine) or self._plan.language,
            duration=round(audio.seconds, 3),
            words=self._words,
            segments=segments(self._words, punctuates=engine.capabilities.punctuates),
            warnings=[*self._plan.warnings, *audio.warnings, *self._warnings(timed=work.timed)],
            speech=SpeechReport(
                round(work.voiced, 2),
                round(max(0.0, audio.seconds - work.covered), 2),
                tuple((round(start, 2), round(end, 2)) for start, end in self._undecoded),
            ),
            languages=heard,
            target=self._plan.task.target,
            word_times=work.timed,
        )

    def _written(self, engine: AsrEngine) -> str | None:
        """The language of the words, when the model was told none and heard one that it does not name."""
        if self._plan.task.language is not None or not engine.capabilities.detects_language:
            return None
        return language_of((word.word for word in self._words), engine.capabilities.languages)

    def _warnings(self, *, timed: bool) -> Iterator[Text]:
        if self._undecoded:
            yield _(
                "%(seconds)s s de son entendu comme de la parole n'ont donné aucun mot : %(spans)s.",
                seconds=round(sum(end - start for start, end in self._undecoded)),
                spans=[
                    *(f"{clock(start)}-{clock(end)}" for start, end in self._undecoded[:_SHOWN]),
                    *(["etc"] if len(self._undecoded) > _SHOWN else []),
                ],
            )
        if self._words and not timed:
            yield _("Ce modèle ne donne pas le moment de chaque mot : les instants sont estimés.")


def transcribe(engine: AsrEngine, reader: AudioReader, plan: Plan) -> Iterator[Progress | Partial | Transcript]:
    """The steps of a transcription by one engine. See `Transcription.steps`."""
    return Transcription(reader, plan).steps(engine)


@dataclass
class _Work:
    """The chunks of a recording and what one engine makes of them, from `plan.start` on."""

    engine: AsrEngine
    plan: Plan
    undecoded: list[Stretch] = field(default_factory=list)
    voiced: float = 0.0
    covered: float = 0.0
    heard: Counter[str] = field(default_factory=Counter)
    _tail: list[Word] = field(default_factory=list)  # words that the next chunk may hear better
    _next: dict[float, float] = field(default_factory=dict)  # where the chunk after that which begins at a time begins
    _end: float = 0.0  # of the chunk before

    @property
    def timed(self) -> bool:
        """Whether the times of the words are the model's own; a translation has none."""
        return self.engine.capabilities.word_times and self.plan.task.target is None

    @property
    def _close(self) -> float:
        return CLOSE if self.timed else CLOSE_SPREAD

    def wanted(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks to decode; each is kept back until one knows whether the next one overlaps it."""
        before: Chunk | None = None
        for chunk in chunks:
            self.covered += chunk.seconds - chunk.overlap
            self.voiced += sum(end - max(start, chunk.start + chunk.overlap) for start, end in _after(chunk))
            if before is not None:
                if chunk.overlap:
                    self._next[before.start] = chunk.start
                if before.end > self.plan.start + _SAME:
                    yield before
            before = chunk
        if before is not None and before.end > self.plan.start + _SAME:
            yield before

    def take(self, heard: Heard) -> Partial:
        """Join a chunk's words to those before; gives those that are final."""
        chunk = heard.chunk
        following = self._next.pop(chunk.start, None)
        words = self._checked(heard, following)
        if heard.language is not None:
            self.heard[heard.language] += round(1000 * sum(end - start for start, end in chunk.voiced))
        if self._tail and chunk.overlap:
            words = joined(self._tail, words, chunk.start, self._end, close=self._close)
        else:
            words = [*self._tail, *words]
        self._end = chunk.end
        through = chunk.end if following is None else following - self._close
        return self._give(words, math.floor(max(through, self.plan.start) * 1000) / 1000)

    def finish(self) -> list[Word]:
        """What was still kept back."""
        return self._give(self._tail, math.inf).words

    def _give(self, words: list[Word], through: float) -> Partial:
        """Words that begin before `through` are final; those from before this work's own start were given already."""
        final = [word for word in words if self.plan.start <= word.start < through]
        self._tail = [word for word in words if word.start >= through]
        return Partial(final, through)

    def _checked(self, heard: Heard, following: float | None) -> list[Word]:
        """The chunk's words, without what nobody said; speech that gave none is asked again, once, in pieces.

        Not of a rough engine: it leaves half of what is said without words, and would do nearly all of it twice.
        """
        chunk = heard.chunk
        words = believable(_placed(heard), chunk, timed=self.timed)
        # What an overlap holds is heard twice: only this chunk's own part must be whole.
        start = max(chunk.start + chunk.overlap / 2, self.plan.start)
        end = chunk.end if following is None else (following + chunk.end) / 2
        missed = holes(words, chunk, start=start, end=end)
        if not missed:
            return words
        if not self.engine.demo:
            words = merged(words, self._again(pieces(chunk, missed)))
        self.undecoded += holes(words, chunk, start=start, end=end)
        return words

    def _again(self, asked: list[Chunk]) -> list[Word]:
        """The words of pieces of a chunk."""
        found: list[Word] = []
        if not asked:
            return found
        end = 0.0
        for heard in self.engine.transcribe(asked, self.plan.task):
            words = believable(_placed(heard), heard.chunk, timed=self.timed)
            if heard.chunk.overlap:
                found = joined(found, words, heard.chunk.start, end, close=self._close)
            else:
                found += words
            end = heard.chunk.end
        return found


def _after(chunk: Chunk) -> list[Stretch]:
    """The voiced spans of what the chunk before does not hold."""
    return [(start, end) for start, end in chunk.voiced if end > chunk.start + chunk.overlap]


def _placed(heard: Heard) -> list[Word]:
    """Its words in order of time, to the millisecond, inside the chunk whatever the model's precision."""
    first, last = math.ceil(heard.chunk.start * 1000), math.floor(heard.chunk.end * 1000)
    words = []
    for word in heard.words:
        start = min(max(round(word.start * 1000), first), max(first, last - 1))
        end = min(max(round(word.end * 1000), start), max(start, last))
        words.append(replace(word, start=start / 1000, end=end / 1000))
    return sorted(words, key=lambda word: (word.start, word.end))
