"""A transcription that is interrupted goes on where it stopped: nothing is decoded twice but the stretch under way."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from app.database import Database
from app.meetings import parts
from app.meetings.calls import HeardWord, Part, Transcription
from app.meetings.jobs import MeetingQueue, MeetingWorker, make_huey
from app.meetings.leases import Leases
from app.meetings.parts import Keeper, continued
from app.meetings.record import LostError, Record
from app.meetings.store import MeetingStore, NewMeeting
from app.peers import connect
from app.settings import AppSettings
from tests.app.fakes import SERVICE, FakeServices, tone, until
from tests.app.processes import Process, environment, start_worker

SAID = "Hello there hi Anna how are you."
WORDS = [(word, round(0.3 * number, 1), round(0.3 * number + 0.2, 1)) for number, word in enumerate(SAID.split())]
CHUNKS = [0.0, 0.5, 1.0, 1.5, 2.0]


@pytest.fixture
def fakes() -> FakeServices:
    return FakeServices(words=WORDS, chunk_seconds=0.5, turns=[("SPEAKER_00", 0.0, 2.1)])


@pytest.fixture
def meeting_id(settings: AppSettings, store: MeetingStore, queue: MeetingQueue) -> str:
    settings.uploads_dir.mkdir(parents=True, exist_ok=True)
    (settings.uploads_dir / "a.wav").write_bytes(tone(2.1))
    created = store.create(NewMeeting(stored_name="a.wav", file_name="a.wav", size=1))
    queue.put(created)
    return created


def heard(store: MeetingStore, meeting_id: str) -> str:
    return " ".join(word["word"] for s in store.get(meeting_id, "fr")["segments"] for word in s["words"])


def stored(database: Database, meeting_id: str) -> tuple[list[str], float]:
    words, through = Record(database, meeting_id, "nobody").parts()
    return [word.word for word in words], through


def is_over(store: MeetingStore, meeting_id: str) -> bool:
    found = store.version(meeting_id)
    return found is not None and found[1] in ("done", "failed")


@pytest.fixture
def each_part_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "KEEP_SECONDS", 0.0)


def test_a_connection_that_breaks_costs_the_stretch_under_way(
    meeting_id: str, worker: MeetingWorker, store: MeetingStore, fakes: FakeServices, database: Database
) -> None:
    fakes.cut_at = [1.0]
    worker.work(meeting_id)
    meeting = store.get(meeting_id, "fr")
    assert meeting["state"] == "done", meeting
    assert fakes.decoded == [0.0, 0.5, 1.0, *CHUNKS[2:]], "the stretch at 1.0 was under way"
    assert [form.get("start") for form in fakes.forms["asr"]] == [None, "1.0"]
    assert heard(store, meeting_id) == SAID
    assert stored(database, meeting_id) == ([], 0.0), "the result holds them now"


def test_a_worker_that_is_killed_half_way(
    meeting_id: str, settings: AppSettings, store: MeetingStore, fakes: FakeServices, database: Database, tmp_path: Path
) -> None:
    url = settings.chat_api_url
    env = environment(
        data_dir=settings.data_dir, chat_api_url=url, gpt_api_url=url, asr_api_url=url, diarize_api_url=url,
        service_token=SERVICE,
    )  # fmt: skip
    fakes.gates["asr at 0.5"] = threading.Event()
    first = start_worker(env, tmp_path / "first.log")
    until(lambda: stored(database, meeting_id)[1] == 0.5)
    first.kill()
    until(lambda: "asr at 0.5" in fakes.closed)
    fakes.gates.clear()
    fakes.decoded.clear()
    second = start_worker(env, tmp_path / "second.log")
    try:
        until(lambda: is_over(store, meeting_id))
    finally:
        second.stop()
    assert store.get(meeting_id, "fr")["state"] == "done", second.output
    assert fakes.forms["asr"][-1]["start"] == "0.5"
    assert fakes.decoded == CHUNKS[1:]
    assert heard(store, meeting_id) == SAID


def test_asr_that_is_killed_half_way(
    meeting_id: str,
    settings: AppSettings,
    store: MeetingStore,
    database: Database,
    free_port: int,
    tmp_path: Path,
    each_part_at_once: None,
) -> None:
    """asr is a process of its own here: it dies while it decodes, and another one takes its place."""
    alone = settings.model_copy(update={"asr_api_url": f"http://127.0.0.1:{free_port}"})
    log = tmp_path / "decoded"

    def start_asr(name: str, gates: list[str]) -> Process:
        given = json.dumps({"words": WORDS, "chunk_seconds": 0.5, "gates": gates, "decoded": str(log)})
        return Process(["tests.app.asr_program", str(free_port), given], environment(), tmp_path / name)

    asr = start_asr("asr1.log", ["asr at 1"])
    worker = MeetingWorker(database, connect(alone), alone, make_huey(alone))
    thread = threading.Thread(target=worker.work, args=(meeting_id,), daemon=True)
    thread.start()
    until(lambda: stored(database, meeting_id)[1] == 1.0 and "1.0" in log.read_text())
    asr.kill()
    until(lambda: store.get(meeting_id, "fr")["steps"][0]["state"] == "waiting")
    asr = start_asr("asr2.log", [])
    try:
        thread.join(30)
    finally:
        asr.kill()
    assert store.get(meeting_id, "fr")["state"] == "done", asr.output
    assert [float(line) for line in log.read_text().split()] == [0.0, 0.5, 1.0, 1.0, 1.5, 2.0]
    assert heard(store, meeting_id) == SAID


def test_a_meeting_that_failed_half_way_is_tried_again_from_there(
    meeting_id: str,
    settings: AppSettings,
    store: MeetingStore,
    fakes: FakeServices,
    database: Database,
    each_part_at_once: None,
) -> None:
    impatient = settings.model_copy(update={"meeting_peer_wait_s": 0.0})
    worker = MeetingWorker(database, connect(impatient), impatient, make_huey(impatient))
    fakes.cut_at = [1.0]
    worker.work(meeting_id)
    assert store.get(meeting_id, "fr")["state"] == "failed"
    fakes.decoded.clear()
    store.retry(meeting_id)
    worker.work(meeting_id)
    assert (store.get(meeting_id, "fr")["state"], fakes.decoded) == ("done", CHUNKS[2:])
    assert heard(store, meeting_id) == SAID


def test_a_meeting_that_was_cancelled_begins_again(
    meeting_id: str,
    worker: MeetingWorker,
    store: MeetingStore,
    fakes: FakeServices,
    database: Database,
    each_part_at_once: None,
) -> None:
    fakes.gates["asr at 1"] = threading.Event()
    thread = threading.Thread(target=worker.work, args=(meeting_id,), daemon=True)
    thread.start()
    until(lambda: stored(database, meeting_id)[1] == 1.0)
    store.cancel(meeting_id)
    thread.join(30)
    assert stored(database, meeting_id) == ([], 0.0)
    until(lambda: "asr at 1" in fakes.closed)
    fakes.gates.clear()
    fakes.decoded.clear()
    store.retry(meeting_id)
    worker.work(meeting_id)
    assert (fakes.decoded, heard(store, meeting_id)) == (CHUNKS, SAID)


def test_a_worker_that_stops_keeps_what_asr_has_found(
    meeting_id: str, worker: MeetingWorker, store: MeetingStore, fakes: FakeServices, database: Database
) -> None:
    fakes.gates["asr at 1.5"] = threading.Event()
    thread = threading.Thread(target=worker.work, args=(meeting_id,), daemon=True)
    thread.start()
    until(lambda: 1.5 in fakes.decoded and stored(database, meeting_id)[1] >= 0.5)
    worker.stop.set()
    thread.join(30)
    assert store.get(meeting_id, "fr")["state"] == "queued"
    assert stored(database, meeting_id)[1] == 1.5


def test_parts_are_written_every_few_seconds_only(
    meeting_id: str, leases: Leases, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = leases.take(meeting_id)
    assert job is not None
    record = Record(database, meeting_id, job.owner)
    now = [100.0]
    monkeypatch.setattr(parts.time, "monotonic", lambda: now[0])
    written: list[float] = []
    write = record.part

    def counted(words: Any, through: float) -> None:
        written.append(through)
        write(words, through)

    monkeypatch.setattr(record, "part", counted)
    with Keeper(record) as keeper:
        for number in range(100):
            word = HeardWord(word=f"w{number}", start=number, end=number + 0.5)
            keeper.keep(Part(words=[word], through=number + 1.0))
            now[0] += 0.1
        assert len(written) == 4
        keeper._write()
    assert stored(database, meeting_id) == ([f"w{number}" for number in range(100)], 100.0)


def test_a_worker_that_lost_the_meeting_keeps_nothing(
    meeting_id: str, leases: Leases, database: Database, store: MeetingStore
) -> None:
    job = leases.take(meeting_id)
    assert job is not None
    store.cancel(meeting_id)
    keeper = Keeper(Record(database, meeting_id, job.owner))
    with pytest.raises(LostError), keeper:
        keeper.keep(Part(words=[], through=1.0))
    assert stored(database, meeting_id) == ([], 0.0)


def test_parts_are_forgotten_with_their_meeting(
    meeting_id: str, leases: Leases, database: Database, store: MeetingStore
) -> None:
    job = leases.take(meeting_id)
    assert job is not None
    Record(database, meeting_id, job.owner).part([HeardWord(word="a", start=0, end=1)], 1.0)
    store.delete(meeting_id)
    assert stored(database, meeting_id) == ([], 0.0)


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_words_before_the_start_are_those_that_were_kept(start: float) -> None:
    def word(text: str, at: float) -> HeardWord:
        return HeardWord(word=text, start=at, end=at + 0.5)

    known = [word("un", 0.0), word("deux", 0.9)] if start else []
    found = Transcription(text="trois", duration=3.0, words=[word("trois", 1.0)], model="m", warnings=["w"])
    whole = continued(known, start, found)
    assert [w.word for w in whole.words] == (["un", "deux", "trois"] if start else ["trois"])
    assert whole.text == ("un deux trois" if start else "trois")
    assert (whole.model, whole.warnings, whole.duration) == ("m", ["w"], 3.0)


def test_a_short_meeting_is_done_while_a_long_one_is_under_way(
    settings: AppSettings,
    store: MeetingStore,
    queue: MeetingQueue,
    fakes: FakeServices,
    tmp_path: Path,
    meeting_id: str,
) -> None:
    """The worker has two places by default, and asr answers for both."""
    long = tone(30.0)
    (settings.uploads_dir / "long.wav").write_bytes(long)
    fakes.slow[len(long)] = threading.Event()
    store.delete(meeting_id)
    (settings.uploads_dir / "a.wav").write_bytes(tone(2.1))
    first = store.create(NewMeeting(stored_name="long.wav", file_name="long.wav", size=1))
    queue.put(first)
    url = settings.chat_api_url
    env = environment(
        data_dir=settings.data_dir, chat_api_url=url, gpt_api_url=url, asr_api_url=url, diarize_api_url=url,
        service_token=SERVICE,
    )  # fmt: skip
    worker = start_worker(env, tmp_path / "log")
    try:
        until(lambda: "asr" in fakes.calls)
        second = store.create(NewMeeting(stored_name="a.wav", file_name="a.wav", size=1))
        queue.put(second)
        until(lambda: is_over(store, second))
        assert [store.get(one, "fr")["state"] for one in (first, second)] == ["running", "done"]
        fakes.slow[len(long)].set()
        until(lambda: is_over(store, first))
    finally:
        worker.stop()
    assert store.get(first, "fr")["state"] == "done"
