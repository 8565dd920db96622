"""One diarization request: from the uploaded file to named turns. No Flask, no engine's name."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from werkzeug.datastructures import FileStorage

from common.audio.decode import AudioReader, FloatArray
from common.audio.level import LevelledAudio
from common.audio.progress import Progress
from common.audio.upload import opened
from common.errors import ApiError, client_left
from common.messages import Text, _
from common.models.lifecycle.calls import stays
from common.models.registry import Registry
from diarize.engines.base import DiarizeEngine, Found, SpeakerRange, Turn
from diarize.engines.base import Progress as EngineProgress
from diarize.samples import REFERENCE, voice_of
from diarize.settings import DiarizeSettings
from diarize.voices import Known, Match, VoiceStore, recognised

_WAIT_SECONDS = 0.5

Gone = Callable[[], bool]


@dataclass(frozen=True)
class Segment:
    """SPEAKER_00 is the first who speaks, and so on. Times in seconds."""

    speaker: str
    start: float
    end: float


@dataclass(frozen=True)
class Speaker:
    """How much one person speaks: seconds, their share (0..1) of everybody's, and how many turns.

    `match` is the known voice that this one is, when it is one.
    """

    id: str
    seconds: float
    share: float
    turns: int
    match: Match | None = None


@dataclass(frozen=True)
class Diarization:
    """Who speaks when. `exclusive` is `segments` with one speaker at a time."""

    segments: list[Segment]
    exclusive: list[Segment]
    speakers: list[Speaker]
    duration: float
    engine: str
    model: str
    warnings: list[Text]

    @property
    def names(self) -> dict[str, str]:
        """The names of the speakers whose voice is known."""
        return {speaker.id: speaker.match.name for speaker in self.speakers if speaker.match}


@dataclass(frozen=True)
class Reference:
    """A voice given with one request: whose, and a sample of it."""

    name: str
    reader: AudioReader = field(repr=False)


def speaker_range(number: int | None, least: int | None, most: int | None) -> SpeakerRange:
    """`num_speakers` wins over the bounds. Raises ApiError 400 when they contradict each other."""
    if number is not None:
        if (least is not None and least > number) or (most is not None and most < number):
            message = _("num_speakers contredit min_speakers ou max_speakers.")
            raise ApiError(400, "invalid_value", message, "num_speakers")
        return SpeakerRange(number, number)
    if least is not None and most is not None and least > most:
        message = _("min_speakers (%(least)s) ne peut pas dépasser max_speakers (%(most)s).", least=least, most=most)
        raise ApiError(400, "invalid_value", message, "min_speakers")
    return SpeakerRange(least or 1, most)


class Diarizer:
    """Holds the models and bounds how many recordings are worked on at once (the others wait their turn)."""

    def __init__(self, settings: DiarizeSettings, registry: Registry[DiarizeEngine], voices: VoiceStore) -> None:
        self.registry = registry
        self.voices = voices
        self._max_seconds = settings.max_audio_seconds
        self._places = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))

    def process(
        self,
        file: FileStorage | None,
        speakers: SpeakerRange,
        model: str | None,
        *,
        identify: bool = True,
        references: Sequence[Reference] = (),
        gone: Gone = stays,
    ) -> Iterator[Progress | Diarization]:
        """Check the request now (so that its errors have their status), then give the steps of the work.

        Speakers whose voice is known are named, by `references` and, when `identify` is set, by the enrolled voices.
        Raises ApiError: 400 for the file or a reference, 404 or 503 for the model, 499 once `gone()`.
        """
        with ExitStack() as stack:
            reader = opened(file, self._max_seconds)
            lease = stack.enter_context(self.registry.use(model, gone))
            given = [_reference(lease.engine, reference) for reference in references]
            held = stack.pop_all()

        def steps() -> Iterator[Progress | Diarization]:
            with held, self.place(gone):
                audio, began = LevelledAudio(reader), time.monotonic()
                for step in lease.engine.process(audio, speakers):
                    if gone():
                        raise client_left()
                    if isinstance(step, EngineProgress):
                        yield _progress(step.share, audio.seconds, time.monotonic() - began)
                        continue
                    known, problems = self._known(lease.engine) if identify else ([], [])
                    warnings = [*_count_warning(step.turns, speakers), *problems, *audio.warnings]
                    yield _diarization(step, lease.engine, audio.seconds, lease.entry.key, [*given, *known], warnings)

        return steps()

    @staticmethod
    def last(steps: Iterator[Progress | Diarization]) -> Diarization:
        """Do the whole work and give the result."""
        for step in steps:
            if isinstance(step, Diarization):
                return step
        raise AssertionError("a diarization ends with its turns or with an error")

    @contextmanager
    def place(self, gone: Gone) -> Iterator[None]:
        """Wait for a place among those who work. Raises ApiError 499 when the client leaves meanwhile."""
        while not self._places.acquire(timeout=_WAIT_SECONDS):
            if gone():
                raise client_left()
        try:
            yield
        finally:
            self._places.release()

    def _known(self, engine: DiarizeEngine) -> tuple[list[Known], list[Text]]:
        """The enrolled voices that this engine can compare with, and what is to be said of the others."""
        try:
            voices = self.voices.all()
        except ApiError as error:  # what was said is worth more than the names
            return [], [error.message if isinstance(error.message, Text) else Text(error.message, {})]
        usable = [Known(voice.name, voice.vector, voice.id) for voice in voices if voice.space == engine.space]
        if not voices or usable:
            return usable, []
        models = sorted({voice.model for voice in voices})
        return [], [
            _(
                "Les voix connues ont été enregistrées avec un autre modèle (%(models)s) : personne n'a pu être "
                "reconnu. Enregistrez-les à nouveau avec celui-ci.",
                models=models,
            )
        ]


def _reference(engine: DiarizeEngine, reference: Reference) -> Known:
    sample = voice_of(engine, reference.reader, REFERENCE)
    return Known(reference.name, sample.vector)


def _progress(share: float, total: float, elapsed: float) -> Progress:
    done = max(0.0, min(1.0, share)) * total
    return Progress(done, total, done / elapsed if done > 0 and elapsed > 0.2 else None)


def _diarization(
    found: Found, engine: DiarizeEngine, duration: float, model: str, known: Sequence[Known], warnings: list[Text]
) -> Diarization:
    ids = _ids(found.turns)
    segments, exclusive = _named(found.turns, ids, duration), _named(found.exclusive, ids, duration)
    voices: dict[str, FloatArray] = {ids[key]: voice for key, voice in found.voices.items() if key in ids}
    matches = recognised(voices, known, engine.same_voice)
    return Diarization(
        segments=segments,
        exclusive=exclusive,
        speakers=_speakers(segments, matches),
        duration=round(duration, 3),
        engine=engine.name,
        model=model,
        warnings=warnings,
    )


def _ids(turns: Sequence[Turn]) -> dict[int, str]:
    """The id of each of the engine's speakers, in the order in which they are heard."""
    ids: dict[int, str] = {}
    for turn in sorted(turns, key=lambda turn: (turn.start, turn.end)):
        ids.setdefault(turn.speaker, f"SPEAKER_{len(ids):02d}")
    return ids


def _named(turns: Sequence[Turn], ids: dict[int, str], duration: float) -> list[Segment]:
    segments = [
        Segment(ids[turn.speaker], round(max(0.0, turn.start), 3), round(min(turn.end, duration), 3))
        for turn in sorted(turns, key=lambda turn: (turn.start, turn.end))
        if turn.speaker in ids
    ]
    return [segment for segment in segments if segment.end > segment.start]


def _speakers(segments: Sequence[Segment], matches: dict[str, Match]) -> list[Speaker]:
    seconds: dict[str, float] = {}
    turns: dict[str, int] = {}
    for segment in segments:
        seconds[segment.speaker] = seconds.get(segment.speaker, 0.0) + segment.end - segment.start
        turns[segment.speaker] = turns.get(segment.speaker, 0) + 1
    everybody = sum(seconds.values())
    return [
        Speaker(speaker, round(total, 3), round(total / everybody, 4), turns[speaker], matches.get(speaker))
        for speaker, total in seconds.items()
    ]


def _count_warning(turns: Sequence[Turn], speakers: SpeakerRange) -> Iterator[Text]:
    found = len({turn.speaker for turn in turns})
    if turns and found < speakers.least:
        yield _(
            "%(found)s voix distinguées sur les %(asked)s attendues : l'enregistrement est trop court pour en "
            "séparer davantage.",
            found=found,
            asked=speakers.least,
        )
