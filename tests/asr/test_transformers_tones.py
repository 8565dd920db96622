"""A tiny Parakeet that was trained: what it writes is what was played, when it was played. Catches a wrong stride."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr.engines.base import Task
from asr.engines.process.spec import Opening, Utterance
from asr.engines.transformers.model import TransformersModel
from tests.asr.hf_serving import post, serving
from tests.asr.hf_tones import WORDS, play, some, trained_canary, trained_parakeet_ctc
from tests.asr.tones import BeepDetector
from tests.common.audio_files import wav_bytes

FRAME = 0.08
pytestmark = pytest.mark.slow  # it trains for a quarter of a minute


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


def test_a_canary_writes_what_was_played(tmp_path: Path) -> None:
    """From its prompt to its end token; it gives no times (see `asr.engines.transformers.canary`)."""
    model = TransformersModel(trained_canary(tmp_path / "tones-canary"), Opening(use_gpu=False, threads=1))
    rng = np.random.default_rng(44)
    played = [play(some(rng, 3), rng) for _one in range(20)]
    said = model.transcribe([Utterance(sound.tobytes()) for sound, _words in played], Task(language="fr"))
    texts = [" ".join(word for word, *_times in words) for _sound, words in played]
    assert sum(one.text == text for one, text in zip(said, texts, strict=True)) >= 12
    assert not any(one.words for one in said)


def test_over_http_the_times_are_those_of_the_recording(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the upload to the answer, through chunks, batches and the model's own process; tones count as voices."""
    monkeypatch.setattr("asr.transcription.speech.SpeechDetector", BeepDetector)
    rng = np.random.default_rng(43)
    words = [WORDS[index] for index in rng.integers(0, len(WORDS), 60)]  # about a minute: several chunks
    sound, played = play(words, rng, lead=5.0)
    with serving(tmp_path, asr_model=str(trained)) as client:
        answer = post(client, "/api/audio/transcribe", wav_bytes(sound), language="fr")
        assert answer.status_code == 200, answer.json
        body = answer.json
    assert body["model"] == "tones-parakeet"
    heard = {(word["word"], round(word["start"], 1)): word for word in body["words"]}
    found = []
    for word, start, end in played:
        near = [one for (text, _at), one in heard.items() if text == word and abs(one["start"] - start) < 0.3]
        found += [max(abs(one["start"] - start), abs(one["end"] - end)) for one in near[:1]]
    assert len(found) >= 0.7 * len(played)
    assert float(np.mean(found)) <= 1.5 * FRAME
    starts = [word["start"] for word in body["words"]]
    assert starts == sorted(starts)
