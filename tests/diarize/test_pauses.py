"""Silence left out of what the detector calls speech, except where a room's noise or a faint voice fills it."""

from __future__ import annotations

import numpy as np
import pytest

from diarize.engines.embedded.pauses import Powers, without_silence

SPAN = [(1.0, 4.0)]


def powers(quiet: float, *silences: tuple[float, float]) -> np.ndarray:
    """5 s of speech at power 1, silences (seconds) at power `quiet`."""
    found = np.ones(500, np.float32)
    for start, end in silences:
        found[round(start * 100) : round(end * 100)] = quiet
    return found


def spoken(level: np.ndarray, chance: float = 0.3) -> list[tuple[float, float]]:
    chances = np.full(157, 1.0, np.float32)
    chances[62:79] = chance  # 2.0 to 2.5 s
    return list(without_silence(SPAN, chances, level))


def test_a_silence_between_two_sentences_parts_them() -> None:
    found = spoken(powers(1e-6, (2.1, 2.4)))
    assert [edge for span in found for edge in span] == pytest.approx([1.0, 2.14, 2.36, 4.0], abs=0.011)


def test_what_is_surely_no_speech_parts_them_in_the_noise_of_a_room_too() -> None:
    found = spoken(powers(1e-2, (2.1, 2.4)), 0.05)
    assert [edge for span in found for edge in span] == pytest.approx([1.0, 2.14, 2.36, 4.0], abs=0.011)


def test_the_ends_of_a_span_are_brought_to_the_sound() -> None:
    level = powers(1e-6, (0.0, 1.2), (3.7, 5.0))
    chances = np.full(157, 0.2, np.float32)
    assert next(iter(without_silence(SPAN, chances, level))) == pytest.approx((1.18, 3.72), abs=0.021)


@pytest.mark.parametrize(
    ("quiet", "chance", "silence"),
    [(1e-3, 0.3, (2.1, 2.4)), (1e-6, 0.9, (2.1, 2.4)), (1e-6, 0.3, (2.2, 2.26))],
    ids=["the noise of a room", "a faint voice", "a stop in a word"],
)
def test_what_may_be_speech_is_kept(quiet: float, chance: float, silence: tuple[float, float]) -> None:
    assert spoken(powers(quiet, silence), chance) == SPAN


def test_what_is_too_short_to_be_told_apart_stays_with_what_is_nearest() -> None:
    level = powers(1e-6, (2.1, 2.25), (2.4, 2.5))
    chances = np.full(157, 0.3, np.float32)
    assert list(without_silence([(1.0, 2.4)], chances, level)) == [(1.0, 2.4)]


def test_powers_do_not_depend_on_the_size_of_blocks() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 5_000).astype(np.float32)
    whole, cut = Powers(), Powers()
    whole.push(samples)
    for at in range(0, samples.size, 333):
        cut.push(samples[at : at + 333])
    assert cut.all() == pytest.approx(whole.all())
    assert whole.all().shape == (31,)
