"""The diarization that ships with Frigo: Silero VAD, Resemblyzer's voices in numpy, clustering. Offline, no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common.audio.decode import FloatArray
from common.audio.level import LevelledAudio
from common.audio.vad import speech_spans
from diarize.engines.base import Found, Progress, SpeakerRange
from diarize.engines.embedded.cluster import centres_of, cluster, smoothed
from diarize.engines.embedded.encoder import RATE, SpeakerEncoder
from diarize.engines.embedded.turns import turns
from diarize.engines.embedded.windows import SpeechLevel, embeddings, listen, window_centres

_THRESHOLD = 0.35
_RELEASE = 0.2
_LISTENING_SHARE = 0.3  # of the whole work, for the progress shown


class EmbeddedEngine:
    """Two passes over the sound: where there is speech, then whose."""

    name = "resemblyzer"
    space = "resemblyzer-0.1"
    same_voice = 0.8

    def __init__(self, weights: Path) -> None:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships none

        threadpool_limits(1)  # a second BLAS thread only spins on matrices of this size
        self._encoder = SpeakerEncoder.from_file(weights)

    def process(self, audio: LevelledAudio, speakers: SpeakerRange) -> Iterator[Progress | Found]:
        probabilities, level = [], SpeechLevel(_THRESHOLD)
        for heard, new, level in listen(audio.blocks(), _THRESHOLD):  # noqa: B007  the last level is the whole's
            probabilities.append(new)
            yield Progress(_LISTENING_SHARE * min(1.0, heard / RATE / max(audio.seconds, 1e-3)))
        spans = [
            (span.start, span.end)
            for span in speech_spans(
                np.concatenate(probabilities),
                threshold=_THRESHOLD,
                release=_RELEASE,
                min_silence=0.25,
                min_speech=0.15,
                pad=0.1,
                duration=audio.seconds,
            )
        ]
        if not spans:
            yield Found([], [])
            return
        times = window_centres(spans)
        batches, done = [], 0
        for batch in embeddings(audio.blocks(), times, level.gain(), self._encoder):
            batches.append(batch)
            done += len(batch)
            yield Progress(_LISTENING_SHARE + (1.0 - _LISTENING_SHARE) * done / len(times))
        voices = np.concatenate(batches)
        labels = cluster(smoothed(voices, times), speakers.least, speakers.most)
        centres = centres_of(voices, labels)
        found = turns(spans, times, voices, centres)
        yield Found(found, found, dict(enumerate(centres)))

    def embed(self, audio: LevelledAudio) -> FloatArray | None:
        """See `DiarizeEngine`."""
        found = next(step for step in self.process(audio, SpeakerRange(1, 1)) if isinstance(step, Found))
        return found.voices.get(0)

    def close(self) -> None:
        """Nothing but memory, given back when nobody holds the engine."""
