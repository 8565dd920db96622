"""A recording at a usual level, read again without being decoded again when it is short."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest

from common.audio.decode import SPEECH_RATE, AudioReader, FloatArray
from common.audio.level import KEPT_SECONDS, SPEECH_DB, LevelledAudio, loud_level
from tests.common.audio_files import wav_bytes


class CountingReader(AudioReader):
    """Knows how often it was read."""

    reads = 0

    def blocks(self, seconds: float = 1.0) -> Iterator[FloatArray]:
        self.reads += 1
        return super().blocks(seconds)


def hum(seconds: float, amplitude: float = 0.01) -> FloatArray:
    """300 Hz on an offset."""
    t = np.arange(round(seconds * SPEECH_RATE)) / SPEECH_RATE
    return (amplitude * np.sin(2 * np.pi * 300 * t) + 0.2).astype(np.float32)


@pytest.mark.parametrize(("seconds", "reads"), [(3.0, 1), (KEPT_SECONDS + 1.5, 3)])
def test_a_short_recording_is_decoded_once_and_a_long_one_never_held(seconds: float, reads: int) -> None:
    samples = hum(seconds)
    reader = CountingReader(io.BytesIO(wav_bytes(samples)))
    audio = LevelledAudio(reader)
    first, second = (np.concatenate(list(audio.blocks())) for _time in range(2))
    assert reader.reads == reads
    assert first.size == samples.size
    assert np.array_equal(first, second)
    assert audio.seconds == pytest.approx(seconds)
    assert loud_level([first]) == pytest.approx(SPEECH_DB, abs=0.5)
    assert abs(float(first.mean())) < 1e-3, "the offset is gone"
