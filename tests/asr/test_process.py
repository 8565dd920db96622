"""A speech model in a process of its own: what crosses, what its death costs, and what comes back."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from werkzeug.datastructures import FileStorage

from asr.engines.base import AsrEngine, Chunk, EngineGoneError, Heard, Task
from asr.engines.process import client
from asr.engines.process.client import ProcessEngine, spread_words
from asr.engines.process.spec import Opening
from asr.routes.steps import finished
from asr.service import PLACES, AsrService, Done
from asr.settings import AsrSettings
from asr.tasks import Ask
from asr.transcription import speech
from common.audio.decode import FloatArray
from common.errors import ApiError
from common.machine.resources import usable_cpus
from common.models.catalogue import Catalogue, ModelEntry
from common.models.lifecycle.calls import stays
from common.models.registry import Lease
from common.settings import load
from tests.asr import tones
from tests.asr.hearing import texts
from tests.common.audio_files import wav_bytes

ROOT = Path(__file__).resolve().parents[2]
MODEL = "tests.asr.tones:ToneModel"
CPU = Opening(use_gpu=False)
FRENCH = Task("fr")
Open = Callable[..., ProcessEngine]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens tone models that behave as told."""
    engines: list[ProcessEngine] = []

    def start(opening: Opening = CPU, **how: Any) -> ProcessEngine:
        path = tmp_path / f"{len(engines)}.json"
        path.write_text(json.dumps(how), encoding="utf-8")
        engines.append(ProcessEngine(MODEL, path, opening))
        return engines[-1]

    yield start
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessEngine]:
    path = tmp_path_factory.mktemp("tones") / "model.json"
    path.write_text(json.dumps({"capabilities": {"languages": ["fr"], "prompt": True}, "batch_seconds": 12.0}))
    one = ProcessEngine(MODEL, path, Opening(use_gpu=False, threads=1))
    yield one
    one.close()


def chunk(words: Sequence[str], start: float = 0.0) -> Chunk:
    samples, said = tones.spoken(words)
    return Chunk(start, samples, ((start + said[0].start, start + said[-1].end),))


def heard(engine: AsrEngine, chunks: Sequence[Chunk]) -> list[list[str]]:
    return [texts(one.words) for one in engine.transcribe(chunks, FRENCH)]


def test_it_says_what_the_model_says(engine: ProcessEngine) -> None:
    assert engine.name == "tones"
    assert engine.capabilities == tones.capabilities(languages=["fr"], prompt=True)
    assert engine.max_chunk_seconds == 10.0
    assert not engine.demo


def test_words_come_back_in_order_with_the_recordings_own_times(engine: ProcessEngine) -> None:
    given = [tones.WORDS[number : number + 5] for number in range(0, 60, 5)]
    chunks = [chunk(words, start=10.0 * number) for number, words in enumerate(given)]
    answers: list[Heard] = list(engine.transcribe(chunks, FRENCH))
    assert [answer.chunk for answer in answers] == chunks
    assert [tuple(texts(answer.words)) for answer in answers] == given
    for one in answers:
        (voiced,) = one.chunk.voiced
        assert (one.words[0].start, one.words[-1].end) == pytest.approx(voiced, abs=0.03)


def test_samples_cross_exactly_whatever_their_layout(engine: ProcessEngine) -> None:
    words = tones.WORDS[7:12]
    samples, _said = tones.spoken(words)
    every_other = np.repeat(samples, 2)[::2]
    assert not every_other.flags.c_contiguous
    assert heard(engine, [Chunk(0.0, every_other), Chunk(0.0, samples.astype(np.float64))]) == [list(words)] * 2


def test_chunks_are_decoded_in_batches(opened: Open, tmp_path: Path) -> None:
    log = tmp_path / "batches"
    one = opened(log=str(log), batch_seconds=12.0, delay=0.01)
    chunks = [chunk(tones.WORDS[:5])] * 12
    heard(one, chunks)
    batches = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert sum(map(len, batches)) == 12
    assert max(map(len, batches)) > 1
    assert max(map(len, batches)) * chunks[0].seconds <= 12.0


def test_the_process_starts_with_the_right_environment(opened: Open) -> None:
    shown = psutil.Process(opened().pid).environ()
    assert shown["OMP_WAIT_POLICY"] == "passive"
    assert shown["OMP_NUM_THREADS"] == shown["MKL_NUM_THREADS"] == str(usable_cpus())
    assert shown["CUDA_VISIBLE_DEVICES"] == ""
    chosen = psutil.Process(opened(Opening(use_gpu=True, gpu_device_ids=(1, 3), threads=7)).pid).environ()
    assert (chosen["OMP_NUM_THREADS"], chosen["CUDA_VISIBLE_DEVICES"]) == ("7", "1,3")
    assert chosen["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_a_text_without_times_is_spread_over_the_voiced_parts(opened: Open) -> None:
    words = tones.WORDS[:6]
    samples, said = tones.spoken(words, pauses={3: 2.0})
    spans = ((100 + said[0].start, 100 + said[2].end), (100 + said[3].start, 100 + said[5].end))
    (one,) = opened(times=False).transcribe([Chunk(100.0, samples, spans)], FRENCH)
    assert texts(one.words) == list(words)
    for word, true in zip(one.words, said, strict=True):
        assert word.start == pytest.approx(100 + true.start, abs=0.25)
        assert any(start - 0.01 <= word.start <= end + 0.01 for start, end in spans)


def test_spreading_takes_the_whole_chunk_when_nothing_is_known_of_the_voice() -> None:
    words = spread_words("un deux", Chunk(5.0, np.zeros(32_000, np.float32)))
    assert [(word.start, word.end) for word in words] == [(5.0, pytest.approx(5.75)), (pytest.approx(5.75), 7.0)]


def test_a_refusal_keeps_its_form_and_the_model_goes_on(opened: Open) -> None:
    bad, good = tones.WORDS[3], tones.WORDS[40:44]
    one = opened(refuse=bad)
    with pytest.raises(ApiError) as caught:
        heard(one, [chunk([bad])])
    assert (caught.value.status, caught.value.code) == (422, "not_a_word")
    assert heard(one, [chunk(good)]) == [list(good)]


def test_a_model_that_cannot_be_opened_says_why_in_general_terms(tmp_path: Path) -> None:
    with pytest.raises(ApiError) as caught:
        ProcessEngine(MODEL, tmp_path / "missing.json", CPU)
    assert (caught.value.status, caught.value.code) == (500, "internal_error")
    assert str(tmp_path) not in str(caught.value.message)


def test_memory_too_small_for_a_batch_is_not_an_error(opened: Open) -> None:
    chunks = [chunk(tones.WORDS[:5])] * 8
    one = opened(room=5.0, batch_seconds=20.0)
    assert heard(one, chunks) == [list(tones.WORDS[:5])] * 8


def test_a_recording_that_kills_the_process_takes_only_itself_along(opened: Open) -> None:
    deadly = tones.WORDS[3]
    one = opened(die=deadly, batch_seconds=3.0, delay=0.2)
    told: list[str] = []
    ended = threading.Event()
    one.watch(lambda reason: (told.append(str(reason)), ended.set()))
    bad = [chunk(tones.WORDS[40:44]), chunk([deadly])]
    good = [chunk(tones.WORDS[50:54])] * 6
    with ThreadPoolExecutor(2) as pool:
        killing = pool.submit(heard, one, bad)
        waiting = pool.submit(heard, one, good)
        with pytest.raises(ApiError) as killed:
            killing.result(30)
        with pytest.raises(EngineGoneError):
            waiting.result(30)
    assert (killed.value.status, killed.value.code) == (503, "engine_died")
    assert not isinstance(killed.value, EngineGoneError)
    assert "Retry-After" in killed.value.headers
    assert ended.wait(30)
    assert "mémoire" in told[0]
    assert one.memory_bytes() == 0


def test_a_recording_that_meets_a_dead_model_being_put_away_may_go_on_with_another(opened: Open) -> None:
    one = opened(batch_seconds=3.0)
    ended = threading.Event()
    one.watch(lambda reason: ended.set())
    os.kill(one.pid, signal.SIGKILL)
    assert ended.wait(30)
    one.close()  # as the registry does at once
    with pytest.raises(EngineGoneError):
        heard(one, [chunk(tones.WORDS[:4])])


def test_a_model_that_hangs_is_ended_and_told_dead(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CALL_SECONDS", 0.3)
    monkeypatch.setattr(client, "SLOWEST", 0.0)
    one = opened(hang=tones.WORDS[3])
    ended = threading.Event()
    one.watch(lambda reason: ended.set())
    with pytest.raises(ApiError) as caught:
        heard(one, [chunk([tones.WORDS[3]])])
    assert caught.value.code == "engine_stuck"
    assert ended.wait(30)


def test_slow_work_on_long_sound_is_given_the_time_it_takes(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CALL_SECONDS", 0.0)
    monkeypatch.setattr(client, "SLOWEST", 5.0)
    words = tones.WORDS[10:20]
    assert heard(opened(delay=0.2), [chunk(words)]) == [list(words)]


def test_closing_ends_the_process_and_what_was_under_way(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.process.child.CLOSE_SECONDS", 0.3)
    one = opened(delay=5.0)
    assert one.memory_bytes() > 5_000_000
    process = psutil.Process(one.pid)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(heard, one, [chunk(tones.WORDS[:5])] * 4)
        while not one._batcher._running:
            threading.Event().wait(0.01)
        one.close()
        with pytest.raises(ApiError):
            under_way.result(30)
    assert not process.is_running()
    assert one.memory_bytes() == 0


def test_the_same_code_runs_in_the_environment_of_nemo(tmp_path: Path) -> None:
    python = ROOT / ".engines" / "nemo" / "bin" / "python"
    if not python.is_file():
        pytest.skip("NeMo's environment (.engines/nemo) is not here")
    path = tmp_path / "model.json"
    path.write_text("{}")
    one = ProcessEngine(MODEL, path, CPU, python=str(python))
    try:
        assert Path(psutil.Process(one.pid).cmdline()[0]) == python
        assert heard(one, [chunk(tones.WORDS[:5])]) == [list(tones.WORDS[:5])]
    finally:
        one.close()


def test_the_service_itself_never_imports_a_models_library(tmp_path: Path) -> None:
    code = (
        "import sys, asr.wsgi\n"
        "import asr.engines.process.client\n"
        "sys.exit(bool({'torch', 'transformers', 'nemo'} & set(sys.modules)))"
    )
    environment = {"DATA_DIR": str(tmp_path), "ASR_MODEL": "embedded", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# --- the service around it ------------------------------------------------------------------------------------


class Models:
    """One model, opened again when its process has died: what the registry does, without the rest."""

    catalogue = Catalogue([])

    def __init__(self, start: Callable[[], ProcessEngine]) -> None:
        self._start = start
        self.entry = ModelEntry(key="tones", family="tones", parameters=0, licence="mit", engine="embedded")
        self.opened: list[ProcessEngine] = []
        self.users = 0

    @contextmanager
    def use(self, name: str | None = None) -> Iterator[Lease[AsrEngine]]:
        if not self.opened or not self.opened[-1].memory_bytes():
            self.opened.append(self._start())
        self.users += 1
        try:
            yield Lease(self.entry, self.opened[-1])
        finally:
            self.users -= 1


def service(models: Models) -> AsrService:
    return AsrService(load(AsrSettings), models)  # type: ignore[arg-type]  # what it uses of a registry


def file(samples: FloatArray) -> FileStorage:
    return FileStorage(io.BytesIO(wav_bytes(samples)), "a.wav")


@pytest.fixture
def _beeps_are_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "SpeechDetector", tones.BeepDetector)


@pytest.mark.usefixtures("_beeps_are_voices")
def test_a_meeting_goes_on_with_a_fresh_model_when_another_recording_killed_the_first(opened: Open) -> None:
    deadly = tones.WORDS[3]
    models = Models(lambda: opened(die=deadly, batch_seconds=10.0, delay=0.05))
    asr = service(models)
    words = [tones.WORDS[100 + number] for number in range(120)]
    meeting, _said = tones.spoken(words)
    bad, _said = tones.spoken([*tones.WORDS[40:44], deadly])
    steps = asr.transcribe(file(meeting), Ask("fr"))
    with ThreadPoolExecutor(1) as pool:
        first = next(step for step in steps if getattr(step, "words", None))
        done = pool.submit(finished, steps, stays)
        with pytest.raises(ApiError, match="engine_died"):
            finished(asr.transcribe(file(bad), Ask("fr")), stays)
        result = done.result(60)
    assert first is not None
    assert texts(result.transcript.words) == words
    assert len(models.opened) == 2
    assert models.users == 0


@pytest.mark.usefixtures("_beeps_are_voices")
def test_a_dictation_ends_long_before_the_meeting_that_began_first(opened: Open) -> None:
    models = Models(lambda: opened(batch_seconds=10.0, delay=0.03))
    asr = service(models)
    meeting, _said = tones.spoken([tones.WORDS[number % 300] for number in range(300)])
    dictation, _said = tones.spoken(tones.WORDS[:10])
    ended: list[str] = []

    def run(name: str, samples: FloatArray) -> None:
        assert isinstance(finished(asr.transcribe(file(samples), Ask("fr")), stays), Done)
        ended.append(name)

    with ThreadPoolExecutor(4) as pool:
        long = [pool.submit(run, f"meeting {number}", meeting) for number in range(2)]
        while not models.opened or not models.opened[-1]._batcher._running:
            threading.Event().wait(0.01)
        pool.submit(run, "dictation", dictation).result(60)
        assert ended == ["dictation"]
        for one in long:
            one.result(120)
    assert models.users == 0


def test_too_many_recordings_at_once_are_sent_back(engine: ProcessEngine) -> None:
    models = Models(lambda: engine)
    asr = service(models)
    silence = tones.silence(0.5)
    held = [asr.transcribe(file(silence), Ask("fr")) for _number in range(PLACES)]
    with pytest.raises(ApiError) as caught:
        asr.transcribe(file(silence), Ask("fr"))
    assert (caught.value.status, caught.value.code) == (503, "overloaded")
    assert caught.value.headers["Retry-After"]
    for steps in held:
        finished(steps, stays)
    assert finished(asr.transcribe(file(silence), Ask("fr")), stays).transcript.text == ""
    assert models.users == 0


def test_what_the_model_cannot_do_is_refused_before_the_work_and_nothing_stays_held(engine: ProcessEngine) -> None:
    models = Models(lambda: engine)
    asr = service(models)
    for _number in range(PLACES + 1):
        with pytest.raises(ApiError) as caught:
            asr.transcribe(file(tones.silence(0.5)), Ask("ja"))
        assert caught.value.code == "unsupported_language"
    assert models.users == 0
