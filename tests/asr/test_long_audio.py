"""Recordings of any length: the same memory, every word, and two meetings side by side."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from asr.engines.process.client import ProcessEngine
from asr.engines.process.spec import Opening
from asr.tasks import Ask, plan
from asr.transcription import speech
from asr.transcription.transcriber import Transcription
from asr.transcription.transcript import Partial, Transcript
from common.audio.decode import FloatArray
from common.audio.progress import Progress
from common.messages import Text
from common.models.catalogue import Catalogue
from tests.asr import tones
from tests.asr.hearing import texts

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _beeps_are_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "SpeechDetector", tones.BeepDetector)


@dataclass
class Endless:
    """A recording made as it is read: minute after minute of words, some of them without a pause. Nothing is kept."""

    minutes: int
    seed: int = 0
    seconds: float = 0.0
    warnings: list[Text] = field(default_factory=list)

    def words(self, minute: int) -> tuple[list[str], dict[int, float]]:
        chance = np.random.default_rng([self.seed, minute])
        count = (170, 100, 60)[minute % 3]  # 57 s without a pause, 44 s with some, 21 s
        words = [tones.WORDS[number] for number in chance.integers(0, len(tones.WORDS), count)]
        paused = chance.integers(1, count, 8) if minute % 3 == 1 else ()
        return words, {int(at): float(chance.uniform(0.3, 2.5)) for at in paused}

    def blocks(self, seconds: float = 1.0) -> Iterator[FloatArray]:
        self.seconds = 0.0
        for minute in range(self.minutes):
            words, pauses = self.words(minute)
            sound, _said = tones.spoken(words, pauses=pauses)
            whole = np.zeros(60 * tones.RATE, np.float32)
            whole[: sound.size] = sound[: whole.size]
            for start in range(0, whole.size, tones.RATE):
                self.seconds += 1.0
                yield whole[start : start + tones.RATE]

    def said(self) -> list[str]:
        return [word for minute in range(self.minutes) for word in self.words(minute)[0]]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessEngine]:
    path = tmp_path_factory.mktemp("tones") / "model.json"
    path.write_text(json.dumps({"max_chunk_seconds": 35.0, "batch_seconds": 40.0}), encoding="utf-8")
    one = ProcessEngine("tests.asr.tones:ToneModel", path, Opening(use_gpu=False, threads=1))
    yield one
    one.close()


def transcribed(engine: ProcessEngine, recording: Endless) -> tuple[Transcript, float]:
    """The transcript, and the most memory that it took here, in MiB."""
    work = Transcription(recording, plan(Ask("fr"), engine, Catalogue([])))  # type: ignore[arg-type]  # as a reader
    tracemalloc.start()
    try:
        for step in work.steps(engine):
            if isinstance(step, Transcript):
                return step, tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()
    raise AssertionError("no transcript")


def check(engine: ProcessEngine, minutes: int) -> None:
    short, little = transcribed(engine, Endless(3))
    recording = Endless(minutes)
    long, much = transcribed(engine, recording)
    assert texts(short.words) == Endless(3).said()
    assert texts(long.words) == recording.said()
    assert long.duration == 60.0 * minutes
    assert long.speech.undecoded == ()
    # The sound alone of the minutes between them takes 3.7 MiB each; the words themselves a tenth of one.
    assert much - little < 15 + 0.1 * minutes


def test_ten_minutes_take_the_memory_of_three_and_lose_no_word(engine: ProcessEngine) -> None:
    check(engine, 10)


@pytest.mark.slow
def test_an_hour_takes_the_memory_of_three_minutes_and_loses_no_word(engine: ProcessEngine) -> None:
    check(engine, 65)


def test_two_meetings_side_by_side_end_together(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"max_chunk_seconds": 35.0, "batch_seconds": 40.0, "delay": 0.008}), encoding="utf-8")
    engine = ProcessEngine("tests.asr.tones:ToneModel", path, Opening(use_gpu=False, threads=1))
    done = [0.0, 0.0]
    when_one_ended: list[float] = []
    both = threading.Barrier(2)

    def run(number: int) -> Transcript:
        meeting = Endless(5, seed=number + 1)
        work = Transcription(meeting, plan(Ask("fr"), engine, Catalogue([])))  # type: ignore[arg-type]  # as a reader
        steps = work.steps(engine)
        next(steps)  # its level is measured
        both.wait(60)
        for step in steps:
            if isinstance(step, Progress):
                done[number] = step.done
            if isinstance(step, Transcript):
                when_one_ended.append(min(done))
                return step
        raise AssertionError("no transcript")

    try:
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(run, range(2)))
    finally:
        engine.close()
    for number, result in enumerate(results):
        assert texts(result.words) == Endless(5, seed=number + 1).said()
    assert when_one_ended[0] > 120  # of 300 s


def test_a_long_recording_that_was_cut_short_goes_on_where_it_stopped(engine: ProcessEngine) -> None:
    recording = Endless(4, seed=9)
    kept: list[str] = []
    through = 0.0
    steps = Transcription(recording, plan(Ask("fr"), engine, Catalogue([]))).steps(engine)  # type: ignore[arg-type]
    for step in steps:
        if isinstance(step, Partial):
            kept += texts(step.words)
            through = step.through
            if through > 100:
                break
    steps.close()  # type: ignore[attr-defined]
    again = Transcription(recording, plan(Ask("fr", start=through), engine, Catalogue([])))  # type: ignore[arg-type]
    last = list(again.steps(engine))[-1]
    assert isinstance(last, Transcript)
    assert [*kept, *texts(last.words)] == recording.said()
