"""Cutting a recording into stretches of speech. The cutter is fed made-up probabilities: no model, no chance."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from asr.engines.base import Chunk
from asr.transcription import speech
from asr.transcription.speech import speech_chunks
from common.audio.decode import FloatArray
from common.audio.vad import FRAME, FRAME_SECONDS


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> dict[str, FloatArray]:
    return script_for(monkeypatch)


def script_for(monkeypatch: pytest.MonkeyPatch) -> dict[str, FloatArray]:
    """Replaces the detector by one that reads its probabilities from the script that is given."""
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
    script: dict[str, FloatArray], probabilities: list[float], block: int = 16_000, longest: float = 10.0, **more: float
) -> list[Chunk]:
    script["p"] = np.asarray(probabilities, np.float32)
    samples = np.arange(len(probabilities) * FRAME, dtype=np.float32)
    blocks = (samples[start : start + block] for start in range(0, samples.size, block))
    chunks = list(speech_chunks(blocks, max_seconds=longest, **more))
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


def test_speech_without_a_pause_is_cut_around_its_least_voiced_instant_and_nothing_is_lost(
    scripted: dict[str, FloatArray],
) -> None:
    script = seconds(30, 0.9)
    dip = round(7.0 / FRAME_SECONDS)
    script[dip] = 0.4
    chunks = cut(scripted, script)
    assert (chunks[0].end + chunks[1].start) / 2 == pytest.approx(7.0, abs=0.05)
    assert all(chunk.samples.size <= 10 * 16_000 for chunk in chunks)
    assert chunks[0].overlap == 0.0
    for before, after in pairwise(chunks):
        assert after.overlap == pytest.approx(before.end - after.start) == pytest.approx(speech.OVERLAP, abs=0.05)
    assert chunks[-1].end == pytest.approx(30.0, abs=0.05)
    assert covered(chunks) == pytest.approx(30.0, abs=0.05)


def test_long_speech_is_cut_in_the_longest_pause_of_its_second_half(scripted: dict[str, FloatArray]) -> None:
    script = seconds(2, 0.9) + seconds(0.5, 0.0) + seconds(2.7, 0.9) + seconds(0.4, 0.0)
    script += seconds(1.5, 0.9) + seconds(0.55, 0.0) + seconds(8, 0.9)
    first, second = cut(scripted, script)
    assert first.end == pytest.approx(7.35, abs=0.05)
    assert second.start == pytest.approx(7.4, abs=0.05)
    assert second.overlap == 0.0
    assert len(first.voiced) == 3
    assert len(second.voiced) == 1


def test_short_stretches_go_together_as_far_as_the_model_takes(scripted: dict[str, FloatArray]) -> None:
    script = (seconds(2, 0.9) + seconds(0.9, 0.0)) * 18
    chunks = cut(scripted, script, longest=20.0)
    assert [len(chunk.voiced) for chunk in chunks] == [6, 6, 6]
    assert all(chunk.seconds <= 20.0 and not chunk.overlap for chunk in chunks)
    assert len(cut(scripted, script, longest=15.0)) == 18


def test_voiced_spans_are_the_speech_itself_and_stay_inside_their_chunk(scripted: dict[str, FloatArray]) -> None:
    (chunk,) = cut(scripted, seconds(1, 0.0) + seconds(2, 0.9) + seconds(0.5, 0.0) + seconds(1, 0.9) + seconds(3, 0.0))
    assert [tuple(round(t, 1) for t in span) for span in chunk.voiced] == [(1.0, 3.0), (3.5, 4.5)]
    for one in cut(scripted, seconds(60, 0.9)):
        assert all(one.start <= start < end <= one.end for start, end in one.voiced)


@pytest.mark.parametrize(("threshold", "found"), [(0.05, 1), (0.35, 1), (0.5, 0), (0.95, 0)])
def test_the_threshold_says_what_is_speech(scripted: dict[str, FloatArray], threshold: float, found: int) -> None:
    script = seconds(1, 0.0) + seconds(2, 0.4) + seconds(2, 0.0)
    assert len(cut(scripted, script, threshold=threshold)) == found


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_speech_every_voiced_instant_is_in_a_chunk(scripted: dict[str, FloatArray], seed: int) -> None:
    chance = random.Random(seed)
    longest = chance.choice([5.0, 10.0, 30.0])
    stretches = [(chance.uniform(0.05, 14.0), chance.uniform(0.0, 3.0)) for _ in range(chance.randint(1, 12))]
    script: list[float] = []
    for voice, pause in stretches:
        script += seconds(voice, 0.9) + seconds(pause, 0.0)
    chunks = cut(scripted, script, chance.choice([700, 16_000, 90_000]), longest)
    voiced = [at * FRAME_SECONDS for at, p in enumerate(script) if p > 0.5]
    inside = [any(c.start <= t and t + FRAME_SECONDS <= c.end + 0.001 for c in chunks) for t in voiced]
    assert inside.count(False) * FRAME_SECONDS < 0.2 * len(stretches)  # clicks
    assert all(chunk.seconds <= longest for chunk in chunks)
    for before, after in pairwise(chunks):
        assert after.start >= before.end - after.overlap - 1e-6
        assert after.start > before.start
        assert after.end > before.end


def covered(chunks: list[Chunk]) -> float:
    """Seconds of the recording that are in chunks."""
    return sum(chunk.seconds - chunk.overlap for chunk in chunks)


def test_speech_up_to_the_last_instant_is_kept(scripted: dict[str, FloatArray]) -> None:
    (chunk,) = cut(scripted, seconds(2, 0.0) + seconds(2, 0.9))
    assert chunk.end == pytest.approx(4.0, abs=0.05)


def test_a_click_is_not_speech(scripted: dict[str, FloatArray]) -> None:
    assert cut(scripted, [*seconds(1, 0.0), 0.9, *seconds(2, 0.0)]) == []
