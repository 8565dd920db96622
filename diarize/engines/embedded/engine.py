"""The diarization that ships with Frigo: Silero VAD, Resemblyzer's voices, clustering. Offline, no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common.audio.decode import FloatArray
from common.audio.level import LevelledAudio
from diarize.engines.base import Found, Progress, SpeakerRange
from diarize.engines.embedded.cluster import centres_of, cluster
from diarize.engines.embedded.encoder import RATE, SpeakerEncoder
from diarize.engines.embedded.turns import turns
from diarize.engines.embedded.windows import Speech, all_embeddings, listen, windows

_LISTENING_SHARE = 0.3  # of the whole work, for the progress shown
_SAMPLE_VOICES = 3  # voices told apart in a sample, of which the one heard most is taken


class EmbeddedEngine:
    """Two passes over the sound: where there is speech, then whose."""

    name = "resemblyzer"
    space = "resemblyzer-0.1-lda64"
    same_voice = 0.66
    """Of 112 pairs of two people in `bench.known_voices` none is over 0.53, and one person in two parts is over 0.68;
    across made-up rooms, telephones and noises, 1 % of pairs of two FLEURS readers in one language or two are over."""

    def __init__(self, model: Path) -> None:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships none

        threadpool_limits(1)  # a second BLAS thread only spins on matrices of this size
        self._encoder = SpeakerEncoder(model)

    def process(self, audio: LevelledAudio, speakers: SpeakerRange) -> Iterator[Progress | Found]:
        """See `DiarizeEngine`. One speaker at a time: `turns` and `exclusive` are the same."""
        speech = Speech([], np.zeros(0, np.float32))
        for heard in listen(audio.blocks()):
            if isinstance(heard, Speech):
                speech = heard
            else:
                yield Progress(_LISTENING_SHARE * min(1.0, heard / RATE / max(audio.seconds, 1e-3)))
        if not speech.spans:
            yield Found([], [])
            return
        wanted = windows(speech.spans)
        voices = np.zeros((0, 0), np.float32)
        for done in all_embeddings(audio.blocks(), wanted, speech.probabilities, self._encoder):
            if isinstance(done, int):
                yield Progress(_LISTENING_SHARE + (1.0 - _LISTENING_SHARE) * done / len(wanted))
            else:
                voices = done
        times = np.array([window.centre for window in wanted])
        labels = cluster(voices, times, self._encoder.spread, speakers.least, speakers.most)
        centres = centres_of(voices, labels)
        found = turns(speech.spans, times, voices, centres)
        heard_of = {turn.speaker for turn in found}
        yield Found(found, found, {i: centre for i, centre in enumerate(centres) if i in heard_of})

    def embed(self, audio: LevelledAudio) -> FloatArray | None:
        """See `DiarizeEngine`. With several voices in the sample, the one that is heard most."""
        steps = self.process(audio, SpeakerRange(1, _SAMPLE_VOICES))
        found = next(step for step in steps if isinstance(step, Found))
        seconds = dict.fromkeys(found.voices, 0.0)
        for turn in found.turns:
            seconds[turn.speaker] += turn.end - turn.start
        return found.voices[max(seconds, key=seconds.__getitem__)] if seconds else None

    def close(self) -> None:
        """Nothing but memory, given back when nobody holds the engine."""
