"""Voice activity both ways: by stretches, it gives what the whole recording gives, whatever the blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.audio.decode import AudioReader, FloatArray
from common.audio.vad import FRAME, SpeechDetector, TwoWayDetector, speech_probabilities


def both(samples: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    detector = TwoWayDetector()
    parts = [detector.push(samples[at : at + size]) for at in range(0, samples.size, size)]
    parts.append(detector.finish())
    forward, backward = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    return forward, backward


@pytest.fixture(scope="module")
def conversation(shared_data: Path) -> FloatArray:
    """Just over the two stretches of 30 s with what follows them."""
    path = shared_data / "speech" / "fr-two-speakers" / "fr_two_speakers.wav"
    return np.tile(np.concatenate(list(AudioReader(path).blocks())), 5)[: 70 * 16_000 + 100]


@pytest.mark.parametrize("size", [16_000, 70_000])
def test_both_ways_by_stretches_is_both_ways_at_once(conversation: FloatArray, size: int) -> None:
    forward, backward = both(conversation, size)
    assert np.allclose(forward, speech_probabilities([conversation]), atol=1e-5)
    padded = np.pad(conversation, (0, -conversation.size % FRAME))
    whole = SpeechDetector().push(padded[::-1])[::-1]
    assert forward.shape == backward.shape == whole.shape
    assert np.mean((backward >= 0.3) != (whole >= 0.3)) < 0.01


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513])
def test_a_moment_of_sound(count: int) -> None:
    forward, backward = both(np.zeros(count, np.float32), 100)
    assert forward.shape == backward.shape == (-(-count // FRAME),)
    assert np.all(forward < 0.1)
