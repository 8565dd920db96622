"""The embedded diarizer on real recordings: its error rates, the count it finds, the bounds and voices it gives."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from bench.der import Score, der, read_rttm
from bench.der import Turn as Reference
from common.audio.decode import AudioReader, FloatArray
from common.audio.level import LevelledAudio
from common.audio.wav import write_wav
from diarize.engines.base import Found, Progress, SpeakerRange
from diarize.engines.embedded.convert import convert, wheel_file
from diarize.engines.embedded.engine import EmbeddedEngine

RATE = 16_000
ANY = SpeakerRange()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedEngine:
    model = tmp_path_factory.mktemp("voice") / "resemblyzer.onnx"
    convert(wheel_file(), model)
    return EmbeddedEngine(model)


def found_in(engine: EmbeddedEngine, audio: LevelledAudio, speakers: SpeakerRange = ANY) -> Found:
    return next(step for step in engine.process(audio, speakers) if isinstance(step, Found))


def recording(path: Path) -> LevelledAudio:
    return LevelledAudio(AudioReader(path))


def samples_of(path: Path) -> FloatArray:
    return np.concatenate(list(AudioReader(path).blocks()))


def written(path: Path, samples: FloatArray) -> LevelledAudio:
    write_wav(path, [samples.astype(np.float32)], RATE)
    return recording(path)


def scored(found: Found, reference: list[Reference], end: float) -> Score:
    return der(reference, [(str(turn.speaker), turn.start, turn.end) for turn in found.turns], end=end)


def test_error_rates_with_the_count_found_by_itself(engine: EmbeddedEngine, shared_data: Path) -> None:
    ami, pair = shared_data / "speech" / "ami", shared_data / "speech" / "fr-two-speakers"
    references = read_rttm(ami / "debug.development.rttm") | read_rttm(ami / "debug.train.rttm")
    most = {"dev00": 0.18, "dev01": 0.17, "trn01": 0.95}
    scores = {name: scored(found_in(engine, recording(ami / f"{name}.wav")), references[name], 30.0) for name in most}
    assert {name: score.rate for name, score in scores.items() if score.rate > most[name]} == {}
    assert sum(scores.values(), Score(0, 0, 0, 0)).rate <= 0.26
    french = read_rttm(pair / "fr_two_speakers.rttm")["fr_two_speakers"]
    found = found_in(engine, recording(pair / "fr_two_speakers.wav"))
    assert len({turn.speaker for turn in found.turns}) == 2
    assert scored(found, french, 16.53).rate <= 0.03


def test_a_quiet_speaker_beside_a_loud_one_is_heard_and_told_apart(
    engine: EmbeddedEngine, shared_data: Path, tmp_path: Path
) -> None:
    samples = samples_of(shared_data / "speech" / "fr-two-speakers" / "fr_two_speakers.wav").copy()
    reference = read_rttm(shared_data / "speech" / "fr-two-speakers" / "fr_two_speakers.rttm")["fr_two_speakers"]
    for speaker, start, end in reference:
        if speaker == "femme":
            samples[int(start * RATE) : int(end * RATE)] *= 10.0 ** (-20.0 / 20.0)
    assert scored(found_in(engine, written(tmp_path / "quiet.wav", samples)), reference, 16.53).rate <= 0.08


@pytest.mark.parametrize("name", ["fr/fleurs-fr-001.ogg", "fr/fleurs-fr-009.ogg", "en/fleurs-en-008.ogg"])
def test_one_speaker_alone_is_one(engine: EmbeddedEngine, shared_data: Path, name: str) -> None:
    found = found_in(engine, recording(shared_data / "speech" / "fleurs" / name))
    assert {turn.speaker for turn in found.turns} == {0}


def test_turns_follow_one_another_and_voices_are_unit_vectors(engine: EmbeddedEngine, shared_data: Path) -> None:
    audio = recording(shared_data / "speech" / "ami" / "dev00.wav")
    steps = list(engine.process(audio, SpeakerRange(3, 3)))
    found = steps[-1]
    assert isinstance(found, Found)
    shares = [step.share for step in steps if isinstance(step, Progress)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert len({turn.speaker for turn in found.turns}) == 3
    for before, after in itertools.pairwise(found.exclusive):
        assert before.start < before.end <= after.start + 1e-9
    assert set(found.voices) == {turn.speaker for turn in found.turns}
    assert np.linalg.norm(np.stack(list(found.voices.values())), axis=1) == pytest.approx(np.ones(3), abs=1e-5)


@pytest.mark.parametrize(("asked", "expected"), [((1, 1), 1), ((2, 2), 2), ((4, 4), 4), ((3, None), 3), ((1, 2), 2)])
def test_asked_numbers_are_kept(
    engine: EmbeddedEngine, shared_data: Path, asked: tuple[int, int | None], expected: int
) -> None:
    audio = recording(shared_data / "speech" / "fr-two-speakers" / "fr_two_speakers.wav")
    found = found_in(engine, audio, SpeakerRange(*asked))
    assert len({turn.speaker for turn in found.turns}) == expected


def test_a_voice_is_known_again_at_another_level_and_is_not_the_other(
    engine: EmbeddedEngine, shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "speech" / "fr-two-speakers" / "fr_two_speakers.wav"
    samples, found = samples_of(path), found_in(engine, recording(path))
    man = written(tmp_path / "man.wav", samples[int(8.7 * RATE) : int(10.8 * RATE)] * 0.1)
    both = written(tmp_path / "both.wav", samples[int(7.2 * RATE) :])  # 3 s of a man, 6 s of a woman
    first, second = found.turns[0].speaker, found.turns[1].speaker
    for sample, same, other in ((man, first, second), (both, second, first)):
        voice = engine.embed(sample)
        assert voice is not None
        assert float(voice @ found.voices[same]) >= engine.same_voice > float(voice @ found.voices[other])


@pytest.mark.parametrize("kind", ["silence", "hiss", "hum", "one bit", "short"])
def test_nobody_is_heard_where_nobody_speaks(engine: EmbeddedEngine, tmp_path: Path, kind: str) -> None:
    count = 800 if kind == "short" else 5 * RATE
    random, at = np.random.default_rng(0), np.arange(count) / RATE
    samples = {
        "silence": np.zeros(count),
        "short": np.zeros(count),
        "hiss": random.normal(0, 0.05, count),
        "hum": 0.3 * np.sin(2 * np.pi * 100 * at) + 0.1 * np.sin(2 * np.pi * 350 * at),
        "one bit": np.where(random.random(count) < 0.5, -1.0, 0.0),
    }[kind]
    audio = written(tmp_path / "nobody.wav", samples)
    assert found_in(engine, audio) == Found([], [])
    assert engine.embed(audio) is None


def test_the_size_of_blocks_changes_nothing(engine: EmbeddedEngine, shared_data: Path) -> None:
    audio = recording(shared_data / "speech" / "fr-two-speakers" / "fr_two_speakers.wav")
    whole = found_in(engine, audio)
    samples = np.concatenate(list(audio.blocks()))

    class Cut(LevelledAudio):
        def __init__(self) -> None:
            self.seconds = audio.seconds

        def blocks(self):  # type: ignore[no-untyped-def]
            yield from (samples[at : at + 777] for at in range(0, samples.size, 777))

    again = found_in(engine, Cut())
    assert [turn.speaker for turn in again.turns] == [turn.speaker for turn in whole.turns]
    assert [turn.start for turn in again.turns] == pytest.approx([turn.start for turn in whole.turns], abs=0.05)
