"""A sample of one voice: checked, then reduced to the vector that stands for the voice. The sound is not kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from common.audio.decode import AudioReader, FloatArray
from common.audio.level import LevelledAudio
from common.errors import ApiError
from common.messages import _
from diarize.engines.base import DiarizeEngine, Found, SpeakerRange


class Bounds(NamedTuple):
    """How long a sample may be, and how much of it must be speech, in seconds."""

    least: float
    most: float
    speech: float

    @property
    def longest(self) -> float:
        """What a reader may read: containers pad lengths freely."""
        return self.most + 1.0


ENROLMENT = Bounds(least=3.0, most=60.0, speech=2.0)
REFERENCE = Bounds(least=2.0, most=60.0, speech=1.0)
"""References given with one request may be as short as OpenAI's (2 to 10 seconds)."""
_ANOTHER_SECONDS, _ANOTHER_SHARE = 1.0, 0.1
"""A second voice counts from this much of the sample; less is a noise or a «oui»."""


@dataclass(frozen=True)
class Sample:
    """A voice, and the seconds of speech that it was taken from."""

    vector: FloatArray = field(repr=False)
    seconds: float


@contextmanager
def length_told(bounds: Bounds, param: str) -> Iterator[None]:
    """Inside, a recording that is longer than its reader may read is a sample that is too long."""
    try:
        yield
    except ApiError as error:
        if error.code != "audio_too_long":
            raise
        raise _refused("sample_too_long", bounds, param) from error


def voice_of(engine: DiarizeEngine, reader: AudioReader, bounds: Bounds) -> Sample:
    """The only voice of a recording, whose reader is bounded by `bounds.longest`.

    Raises ApiError 400: sample_too_short, sample_too_long, too_little_speech, several_voices, or as the reader does.
    """
    with length_told(bounds, reader.param):
        audio = LevelledAudio(reader)
    if audio.seconds < bounds.least:
        raise _refused("sample_too_short", bounds, reader.param)
    found = next(step for step in engine.process(audio, SpeakerRange()) if isinstance(step, Found))
    seconds: dict[int, float] = {}
    for turn in found.exclusive:
        seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + turn.end - turn.start
    speech = sum(seconds.values())
    if speech < bounds.speech:
        message = _(
            "On n'entend que %(heard)s s de parole dans cet extrait : il en faut au moins %(least)s s, dite par une "
            "seule personne, sans musique ni bruit.",
            heard=f"{speech:.1f}",
            least=f"{bounds.speech:g}",
        )
        raise ApiError(400, "too_little_speech", message, reader.param)
    others = _other_voices(engine, found, seconds, speech)
    if others:
        message = _(
            "On entend %(count)s voix dans cet extrait : envoyez-en un où une seule personne parle.", count=others + 1
        )
        raise ApiError(400, "several_voices", message, reader.param)
    vector = engine.embed(audio)
    if vector is None or not np.isfinite(vector).all() or not float(np.linalg.norm(vector)) > 0:
        message = _("La voix de cet extrait n'a pas pu être mesurée : envoyez-en un plus long et plus net.")
        raise ApiError(400, "too_little_speech", message, reader.param)
    return Sample(np.asarray(vector / np.linalg.norm(vector), np.float32), round(speech, 2))


def _other_voices(engine: DiarizeEngine, found: Found, seconds: Mapping[int, float], speech: float) -> int:
    """How many voices besides the main one are somebody else's: an engine may well cut one person in two."""
    main = max(seconds, key=lambda speaker: seconds[speaker])
    least = max(_ANOTHER_SECONDS, _ANOTHER_SHARE * speech)
    count = 0
    for speaker, spoken in seconds.items():
        if speaker == main or spoken < least:
            continue
        here, there = found.voices.get(speaker), found.voices.get(main)
        if here is None or there is None or float(here @ there) < engine.same_voice:
            count += 1
    return count


def _refused(code: str, bounds: Bounds, param: str) -> ApiError:
    message = _(
        "L'extrait doit durer de %(least)s à %(most)s secondes ; une seule personne doit y parler.",
        least=f"{bounds.least:g}",
        most=f"{bounds.most:g}",
    )
    return ApiError(400, code, message, param)
