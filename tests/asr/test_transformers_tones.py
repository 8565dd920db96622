"""A tiny Parakeet that was trained: what it writes is what was played, when it was played. Catches a wrong stride."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr.engines.base import Task
from asr.engines.process.spec import Opening, Utterance
from asr.engines.transformers.model import TransformersModel
from tests.asr.hf_tones import play, some, trained_parakeet_ctc

FRAME = 0.08


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_parakeet_ctc(tmp_path_factory.mktemp("tones") / "tones-parakeet")


def test_words_are_written_when_they_are_played(trained: Path) -> None:
    model = TransformersModel(trained, Opening(use_gpu=False, threads=1))
    rng = np.random.default_rng(42)
    played = [play(some(rng, 6), rng, lead=float(rng.uniform(0, 4))) for _one in range(20)]
    said = model.transcribe([Utterance(sound.tobytes()) for sound, _words in played], Task(language="fr"))
    right, away = 0, []
    total = sum(len(words) for _sound, words in played)
    for (_sound, words), one in zip(played, said, strict=True):
        if [word for word, *_times in one.words] != [word for word, *_times in words]:
            continue
        right += len(words)
        for (_word, start, end, _sure), (_same, first, last) in zip(one.words, words, strict=True):
            away += [abs(start - first), abs(end - last)]
    assert right >= 0.7 * total
    assert max(away) <= 2.5 * FRAME
    assert float(np.mean(away)) <= FRAME
