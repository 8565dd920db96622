"""Cutting a recording into stretches of speech. The cutter is fed made-up probabilities: no model, no chance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from asr import speech
from asr.engines.base import Chunk
from asr.speech import speech_chunks
from common.audio.decode import FloatArray
from common.audio.vad import FRAME, FRAME_SECONDS


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, FloatArray]]:
    """Replaces the detector by one that reads its probabilities from a script."""
    script: dict[str, FloatArray] = {}

    class Detector:
        def __init__(self) -> None:
            self.heard = self.given = 0

        def push(self, block: FloatArray) -> FloatArray:
            self.heard += block.size
            first, self.given = self.given, self.heard // FRAME
            return script["p"][first : self.given]

        def finish(self) -> FloatArray:
            return np.zeros(0, np.float32)

    monkeypatch.setattr(speech, "SpeechDetector", Detector)
    return script


def cut(
    script: dict[str, FloatArray], probabilities: list[float], block: int = 16_000, longest: float = 10.0
) -> list[Chunk]:
    script["p"] = np.asarray(probabilities, np.float32)
    samples = np.arange(len(probabilities) * FRAME, dtype=np.float32)
    blocks = (samples[start : start + block] for start in range(0, samples.size, block))
    chunks = list(speech_chunks(blocks, max_seconds=longest))
    for chunk in chunks:  # each sample is its own index: the chunk is where it says it is
        assert chunk.samples[0] == pytest.approx(chunk.start * 16_000)
        assert np.all(np.diff(chunk.samples) == 1)
    return chunks


def seconds(length: float, probability: float) -> list[float]:
    return [probability] * round(length / FRAME_SECONDS)


def test_silence_gives_nothing(scripted: dict[str, FloatArray]) -> None:
    assert cut(scripted, seconds(30, 0.01)) == []


@pytest.mark.parametrize("block", [160, 5_000, 16_000, 400_000])
def test_speech_is_cut_in_the_pauses_with_margins_whatever_the_blocks(
    scripted: dict[str, FloatArray], block: int
) -> None:
    script = seconds(1, 0.0) + seconds(2, 0.9) + seconds(1.5, 0.0) + seconds(3, 0.9) + seconds(1, 0.0)
    first, second = cut(scripted, script, block)
    assert (first.start, first.end) == pytest.approx((0.75, 3.25), abs=0.05)
    assert (second.start, second.end) == pytest.approx((4.25, 7.75), abs=0.05)


def test_a_short_pause_does_not_cut(scripted: dict[str, FloatArray]) -> None:
    assert len(cut(scripted, seconds(1, 0.9) + seconds(0.3, 0.0) + seconds(1, 0.9) + seconds(1, 0.0))) == 1


def test_speech_without_a_pause_is_cut_at_its_least_voiced_instant_and_nothing_is_lost(
    scripted: dict[str, FloatArray],
) -> None:
    script = seconds(30, 0.9)
    dip = round(8.0 / FRAME_SECONDS)
    script[dip] = 0.4
    chunks = cut(scripted, script)
    assert chunks[0].end == pytest.approx(8.0, abs=0.05)
    assert all(chunk.samples.size <= 10 * 16_000 for chunk in chunks)
    joined = np.concatenate([chunk.samples for chunk in chunks])
    assert joined.size == pytest.approx(len(script) * FRAME, abs=FRAME)
    assert np.all(np.diff(joined) == 1)


def test_speech_up_to_the_last_instant_is_kept(scripted: dict[str, FloatArray]) -> None:
    (chunk,) = cut(scripted, seconds(2, 0.0) + seconds(2, 0.9))
    assert chunk.end == pytest.approx(4.0, abs=0.05)


def test_a_click_is_not_speech(scripted: dict[str, FloatArray]) -> None:
    assert cut(scripted, [*seconds(1, 0.0), 0.9, *seconds(2, 0.0)]) == []
