"""Memory that does not grow with the recordings: sound of any length goes through an encoder in few shapes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asr.engines.base import Task
from asr.engines.process.spec import Opening, Utterance
from asr.engines.transformers import shapes
from asr.engines.transformers.model import TransformersModel
from tests.asr import hf_models

RATE = 16_000
BOUND = 38
"""A length for each even number of seconds up to 40, and for each the powers of two that fit in 40 s."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """So small that a second thread costs more than it computes. (Opening a model asks for all cores.)"""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_hours_of_batches_are_read_in_a_few_shapes() -> None:
    dice = np.random.default_rng(7)
    seen = set()
    for _batch in range(1000):
        longest = dice.uniform(0.3, 40.0)
        lengths = [int(dice.uniform(0.1, longest) * RATE) for _one in range(int(dice.integers(1, 65)))]
        groups = shapes.passes(lengths)
        assert sorted(place for _seconds, places in groups for place in places) == list(range(len(lengths)))
        for seconds, places in groups:
            assert max(lengths[place] for place in places) <= seconds * RATE
            assert len(places) * seconds <= shapes.PASS_SECONDS
            seen.add((len(places), seconds))
    assert len(seen) <= BOUND


@pytest.mark.parametrize("kind", ["ctc", "canary"])
def test_an_encoder_sees_those_shapes_and_no_other(kind: str, tmp_path: Path) -> None:
    make = hf_models.random_canary if kind == "canary" else lambda folder: hf_models.random_parakeet(folder, kind)
    model = TransformersModel(make(tmp_path / "random-model"), Opening(use_gpu=False, threads=1))
    whole: Any = model._model._loaded.model  # type: ignore[attr-defined]  # any of the two
    seen: list[tuple[int, int]] = []
    encoder = whole.model.encoder if kind == "canary" else whole.encoder
    encoder.register_forward_pre_hook(lambda _module, given: seen.append(tuple(given[0].shape[:2])))
    dice = np.random.default_rng(8)
    for count in (1, 3):
        lengths = dice.uniform(1.0, 3.9, count)
        sounds = [(0.1 * dice.standard_normal(int(length * RATE))).astype(np.float32) for length in lengths]
        assert len(model.transcribe([Utterance(one.tobytes()) for one in sounds], Task("fr"))) == count
    frames = {2 * RATE // 160 + 1, 4 * RATE // 160 + 1}
    assert {length for _rows, length in seen} <= frames
    assert {rows for rows, _length in seen} == {1, 2}
    assert sum(rows for rows, _length in seen) == 4


def test_silence_that_fills_a_shape_changes_nothing_that_is_heard(tmp_path: Path) -> None:
    folder = hf_models.random_parakeet(tmp_path / "random-parakeet", "ctc")
    loaded = TransformersModel(folder, Opening(use_gpu=False, threads=1))._model._loaded  # type: ignore[attr-defined]
    dice = np.random.default_rng(9)
    lengths = (1.37, 0.4, 2.9)
    sounds = [(0.1 * dice.standard_normal(int(length * RATE))).astype(np.float32) for length in lengths]
    with torch.inference_mode():
        states, mask = shapes.encode(loaded.model.encoder, loaded, [Utterance(one.tobytes()) for one in sounds], 0.1)
        for row, sound in enumerate(sounds):
            inputs = loaded.features(sound, sampling_rate=RATE, return_tensors="pt")
            alone = loaded.model.encoder(inputs["input_features"], attention_mask=inputs["attention_mask"])
            frames = int(alone.attention_mask.sum())
            assert int(mask[row].sum()) == frames
            torch.testing.assert_close(states[row, :frames], alone.last_hidden_state[0, :frames], rtol=1e-3, atol=1e-4)
