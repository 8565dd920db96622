"""One diarization request: from the uploaded file to named turns. No Flask, no engine's name."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from werkzeug.datastructures import FileStorage

from common.audio.level import LevelledAudio
from common.audio.upload import opened
from common.errors import ApiError
from common.messages import Text, _
from common.models.registry import Registry
from diarize.engines.base import DiarizeEngine, Progress, SpeakerRange, Turn
from diarize.settings import DiarizeSettings


@dataclass(frozen=True)
class Segment:
    """SPEAKER_00 is the first who speaks, and so on. Times in seconds."""

    speaker: str
    start: float
    end: float


@dataclass(frozen=True)
class Diarization:
    """Who speaks when."""

    segments: list[Segment]
    duration: float
    engine: str
    model: str
    warnings: list[Text]

    def speaker_seconds(self) -> dict[str, float]:
        """Seconds of speech of each speaker, in order of appearance."""
        seconds: dict[str, float] = {}
        for segment in self.segments:
            seconds[segment.speaker] = seconds.get(segment.speaker, 0.0) + segment.end - segment.start
        return {speaker: round(total, 3) for speaker, total in seconds.items()}


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

    def __init__(self, settings: DiarizeSettings, registry: Registry[DiarizeEngine]) -> None:
        self._registry = registry
        self._max_seconds = settings.max_audio_seconds
        self._places = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))

    def process(
        self, file: FileStorage | None, speakers: SpeakerRange, model: str | None
    ) -> Iterator[Progress | Diarization]:
        """Check the request now (so that its errors have their status), then give the steps of the work.

        Raises ApiError: 400 for the file, 404 or 503 for the model.
        """
        with ExitStack() as stack:
            reader = opened(file, self._max_seconds)
            lease = stack.enter_context(self._registry.use(model))
            held = stack.pop_all()

        def steps() -> Iterator[Progress | Diarization]:
            with held, self._places:
                audio = LevelledAudio(reader)
                for step in lease.engine.process(audio, speakers):
                    if isinstance(step, Progress):
                        yield step
                        continue
                    yield Diarization(
                        segments=_named(step.turns, audio.seconds),
                        duration=round(audio.seconds, 3),
                        engine=lease.engine.name,
                        model=lease.entry.key,
                        warnings=[*_count_warning(step.turns, speakers), *audio.warnings],
                    )

        return steps()

    @staticmethod
    def last(steps: Iterator[Progress | Diarization]) -> Diarization:
        """Do the whole work and give the result."""
        for step in steps:
            if isinstance(step, Diarization):
                return step
        raise AssertionError("a diarization ends with its turns or with an error")


def _named(turns: list[Turn], duration: float) -> list[Segment]:
    names: dict[int, str] = {}
    segments = []
    for turn in sorted(turns, key=lambda turn: (turn.start, turn.end)):
        name = names.setdefault(turn.speaker, f"SPEAKER_{len(names):02d}")
        segments.append(Segment(name, round(max(0.0, turn.start), 3), round(min(turn.end, duration), 3)))
    return [segment for segment in segments if segment.end > segment.start]


def _count_warning(turns: list[Turn], speakers: SpeakerRange) -> Iterator[Text]:
    found = len({turn.speaker for turn in turns})
    if turns and found < speakers.least:
        yield _(
            "%(found)s voix distinguées sur les %(asked)s attendues : l'enregistrement est trop court pour en "
            "séparer davantage.",
            found=found,
            asked=speakers.least,
        )
