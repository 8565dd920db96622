"""The demonstration engine's processes: shared fairly, replaced when they die, never in the way of /health."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asr.engines.base import Chunk, Heard, Task, Word
from asr.engines.embedded.engine import EmbeddedEngine
from common.audio.decode import AudioReader
from common.errors import ApiError
from tests.common.audio_files import wav_bytes


@pytest.fixture(scope="module")
def engine() -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine(workers=1)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def speech(shared_data: Path) -> Chunk:
    return Chunk(2.0, AudioReader(shared_data / "speech" / "jfk" / "jfk.flac").read()[8_000 : 8_000 + 24_000])


@pytest.fixture(scope="module")
def brief(speech: Chunk) -> Chunk:
    """For tests that ask who is decoded when, not what is said: a second of sound is a second of work."""
    return Chunk(2.0, speech.samples[:6_000])


@pytest.fixture(scope="module")
def heard(engine: EmbeddedEngine, speech: Chunk) -> Heard:
    (heard,) = engine.transcribe([speech], Task("en"))
    return heard


def children() -> set[int]:
    """Decoder processes of this test process."""
    path = Path(f"/proc/{os.getpid()}/task")
    return {int(pid) for task in path.iterdir() for pid in (task / "children").read_text().split()}


def words(engine: EmbeddedEngine, chunk: Chunk) -> list[Word]:
    return [word for heard in engine.transcribe([chunk], Task("en")) for word in heard.words]


def test_words_carry_the_chunks_own_time(heard: Heard, speech: Chunk) -> None:
    assert heard.chunk is speech
    assert len(heard.words) >= 2
    assert all(2.0 <= word.start < word.end <= 3.5 for word in heard.words)


def test_a_dead_decoder_is_replaced_without_a_trace(heard: Heard, speech: Chunk) -> None:
    before = children()
    engine = EmbeddedEngine(workers=1)
    try:
        (worker,) = children() - before
        os.kill(worker, signal.SIGKILL)
        assert words(engine, speech) == heard.words, "the same sound gives the same words"
        assert children() - before != {worker}
    finally:
        engine.close()
    assert children() - before == set()


def test_a_decoder_that_dies_every_time_is_an_error_not_a_hang(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr.engines.embedded.engine.pcm16", lambda samples: b"\0")  # half a sample
    monkeypatch.setattr(
        "asr.engines.embedded.engine._Worker.decode",
        lambda *_: (_ for _ in ()).throw(__import__("asr.engines.embedded.engine", fromlist=["x"]).WorkerDiedError()),
    )
    with pytest.raises(ApiError) as caught:
        words(engine, Chunk(0.0, np.zeros(16_000, np.float32)))
    assert caught.value.code == "engine_failed"


def test_a_long_recording_lets_a_short_one_through(engine: EmbeddedEngine, brief: Chunk) -> None:
    finished: list[str] = []

    def run(name: str, count: int) -> None:
        list(engine.transcribe((brief for _number in range(count)), Task("en")))
        finished.append(name)

    long = threading.Thread(target=run, args=("long", 4))
    long.start()
    short = threading.Thread(target=run, args=("short", 1))
    short.start()
    long.join(200)
    short.join(200)
    assert finished == ["short", "long"]


def test_closing_the_iterator_stops_the_work(engine: EmbeddedEngine, brief: Chunk) -> None:
    asked: list[int] = []

    def chunks() -> Iterator[Chunk]:
        for number in range(50):
            asked.append(number)
            yield brief

    steps = engine.transcribe(chunks(), Task("en"))
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert len(asked) < 5


def test_health_answers_while_a_decoder_works(asr_app: object, speech: Chunk) -> None:
    client = asr_app.test_client()  # type: ignore[attr-defined]
    done = threading.Event()

    def work() -> None:
        form = {"file": (io.BytesIO(wav_bytes(speech.samples)), "e.wav")}
        asr_app.test_client().post("/api/audio/transcribe", data=form)  # type: ignore[attr-defined]
        done.set()

    threading.Thread(target=work).start()
    asked = 0
    while not done.is_set():
        assert client.get("/health").status_code == 200
        asked += 1
        time.sleep(0.02)
    assert asked > 5, "it waited for the decoder"
