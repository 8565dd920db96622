"""The work of a meeting, against real servers: steps, waiting, warnings, cancellation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.database import Database
from app.meetings.jobs import MeetingWorker, make_huey
from app.meetings.store import MeetingStore, NewMeeting
from app.peers import connect
from app.settings import AppSettings
from common.errors import ApiError
from tests.app.fakes import SERVICE, FakeServices, tone, until


@pytest.fixture
def new(settings: AppSettings, store: MeetingStore) -> Callable[..., str]:
    def make(**given: Any) -> str:
        settings.uploads_dir.mkdir(parents=True, exist_ok=True)
        (settings.uploads_dir / "a.wav").write_bytes(tone(2.1))
        values = {"stored_name": "a.wav", "file_name": "Point hebdo.wav", "size": 1} | given
        return store.create(NewMeeting(**values))

    return make


def states(meeting: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["state"] for step in meeting["steps"]}


def in_background(worker: MeetingWorker, meeting_id: str) -> threading.Thread:
    thread = threading.Thread(target=worker.work, args=(meeting_id,), daemon=True)
    thread.start()
    return thread


def test_a_meeting_goes_from_a_file_to_its_diagram(
    new: Callable[..., str], worker: MeetingWorker, store: MeetingStore, fakes: FakeServices
) -> None:
    meeting_id = new(language="en", num_speakers=2)
    worker.work(meeting_id)
    meeting = store.get(meeting_id, "fr")
    assert meeting["state"] == "done"
    assert set(states(meeting).values()) == {"done"}
    assert [(s["speaker"], s["text"]) for s in meeting["segments"]] == [
        ("SPEAKER_00", "Hello there."),
        ("SPEAKER_01", "Hi Anna."),
    ]
    assert meeting["segments"][0]["words"][1] == {"word": "there.", "start": 0.5, "end": 0.9}
    assert meeting["speakers"] == {"SPEAKER_00": "Intervenant 1", "SPEAKER_01": "Intervenant 2"}
    assert (meeting["duration"], meeting["language"], meeting["title"]) == (2.1, "en", "Point hebdo")
    assert meeting["minutes"]["actions"][0]["who"] == "Intervenant 1"
    assert [(d["text"], d["seconds"]) for d in meeting["minutes"]["decisions"]] == [("hi Anna", 1.2)]
    assert meeting["diagram"]["valid"] is True
    assert meeting["models"] == {"asr": "fake-asr", "diarize": "fake-diarize", "chat": "fake-chat"}
    assert meeting["warnings"] == []
    assert all(step["seconds"] is not None and step["progress"] == 1.0 for step in meeting["steps"])
    assert fakes.tokens == {SERVICE}


def test_a_node_of_the_diagram_knows_when_it_was_said(
    new: Callable[..., str], worker: MeetingWorker, store: MeetingStore
) -> None:
    meeting_id = new()
    worker.work(meeting_id)
    source = store.get(meeting_id, "fr")["diagram"]["graph"]["nodes"][0]["source"]
    assert (source["start_s"], source["end_s"]) == (1.2, 2.0)


def test_the_recording_reaches_the_services_whole(
    new: Callable[..., str], worker: MeetingWorker, fakes: FakeServices
) -> None:
    worker.work(new())
    assert fakes.bodies["asr"] == fakes.bodies["diarize"] == tone(2.1)


def test_transcription_and_diarization_run_side_by_side(
    new: Callable[..., str], worker: MeetingWorker, store: MeetingStore, fakes: FakeServices
) -> None:
    fakes.gates = {"asr": threading.Event(), "diarize": threading.Event()}
    meeting_id = new()
    thread = in_background(worker, meeting_id)
    until(lambda: {"asr", "diarize"} <= set(fakes.calls))

    def half_way() -> bool:
        steps = {step["name"]: step for step in store.get(meeting_id, "fr")["steps"]}
        return all(steps[n]["state"] == "running" and steps[n]["progress"] == 0.5 for n in ("asr", "diarize"))

    until(half_way)
    for gate in fakes.gates.values():
        gate.set()
    thread.join(60)
    assert store.get(meeting_id, "fr")["state"] == "done"


def test_minutes_are_asked_for_with_the_times_of_the_words(
    new: Callable[..., str], worker: MeetingWorker, fakes: FakeServices
) -> None:
    worker.work(new())
    asked = fakes.bodies["minutes"]
    assert asked["segments"][1] == {
        "speaker": "Intervenant 2", "start": 1.2, "end": 2.0, "text": "Hi Anna.",
        "words": [{"word": "Hi", "start": 1.2, "end": 1.5}, {"word": "Anna.", "start": 1.6, "end": 2.0}],
    }  # fmt: skip


def test_renaming_a_speaker_changes_the_minutes_too(
    new: Callable[..., str], worker: MeetingWorker, store: MeetingStore
) -> None:
    meeting_id = new()
    worker.work(meeting_id)
    store.edit(meeting_id, title=None, speakers={"SPEAKER_00": "Léa", "SPEAKER_01": "Intervenant 1"})
    meeting = store.get(meeting_id, "fr")
    assert meeting["speakers"] == {"SPEAKER_00": "Léa", "SPEAKER_01": "Intervenant 1"}
    assert meeting["minutes"]["summary"] == "Léa says hello."
    assert meeting["minutes"]["markdown"] == "**Léa**"
    assert store.get(meeting_id, "en")["minutes"]["actions"][0]["who"] == "Léa"


def test_silence_gives_a_meeting_without_minutes_and_a_warning(
    new: Callable[..., str], worker: MeetingWorker, store: MeetingStore, fakes: FakeServices
) -> None:
    fakes.words, fakes.turns = [], []
    meeting_id = new()
    worker.work(meeting_id)
    meeting = store.get(meeting_id, "fr")
    assert (meeting["state"], meeting["segments"], meeting["minutes"], meeting["diagram"]) == ("done", [], None, None)
    assert meeting["warnings"] == ["Aucune parole n'a été reconnue dans cet enregistrement."]
    assert "minutes" not in fakes.calls
    assert "diagram" not in fakes.calls


def test_a_language_that_the_engine_does_not_speak_goes_through_with_its_warning(
    new: Callable[..., str], worker: MeetingWorker, store: MeetingStore, fakes: FakeServices
) -> None:
    fakes.asr_warnings = ["Ce moteur ne connaît que l'anglais : essayez canary-1b-v2."]
    meeting_id = new(language="fr")
    worker.work(meeting_id)
    meeting = store.get(meeting_id, "fr")
    assert meeting["state"] == "done"
    assert meeting["warnings"] == fakes.asr_warnings


@pytest.mark.parametrize("step", ["minutes", "diagram"])
def test_minutes_or_a_diagram_that_cannot_be_made_leave_a_warning(
    step: str, new: Callable[..., str], worker: MeetingWorker, store: MeetingStore, fakes: FakeServices
) -> None:
    fakes.refusals[step] = (422, "diagram_invalid")
    meeting_id = new()
    worker.work(meeting_id)
    meeting = store.get(meeting_id, "fr")
    assert meeting["state"] == "done"
    assert states(meeting)[step] == "failed"
    assert meeting[step] is None
    assert len(meeting["segments"]) == 2
    assert f"{step} refuse" in meeting["warnings"][0]

    fakes.refusals.clear()
    fakes.calls.clear()
    store.retry(meeting_id)
    worker.work(meeting_id)
    meeting = store.get(meeting_id, "fr")
    assert (meeting["state"], meeting["warnings"], fakes.calls) == ("done", [], [step])
    assert meeting[step] is not None


def test_a_refused_recording_fails_the_meeting_with_the_reason(
    new: Callable[..., str], worker: MeetingWorker, store: MeetingStore, fakes: FakeServices
) -> None:
    fakes.refusals["asr"] = (400, "invalid_audio")
    meeting_id = new()
    worker.work(meeting_id)
    meeting = store.get(meeting_id, "fr")
    assert meeting["state"] == "failed"
    assert meeting["error"] == {"code": "invalid_audio", "message": "asr refuse"}
    assert next(step for step in meeting["steps"] if step["name"] == "asr")["error"]["code"] == "invalid_audio"


def test_a_step_waits_for_a_service_that_is_down_and_goes_on_when_it_is_back(
    new: Callable[..., str],
    database: Database,
    store: MeetingStore,
    settings: AppSettings,
    fakes: FakeServices,
    serve: Callable[..., str],
    free_port: int,
) -> None:
    alone = settings.model_copy(update={"diarize_api_url": f"http://127.0.0.1:{free_port}"})
    worker = MeetingWorker(database, connect(alone), alone, make_huey(alone))
    meeting_id = new()
    thread = in_background(worker, meeting_id)

    def waiting() -> Any:
        step = store.get(meeting_id, "fr")["steps"][1]
        return step if step["state"] == "waiting" else None

    error = until(waiting)["error"]
    assert (error["code"], error["service"]) == ("peer_unavailable", "diarize")
    assert "diarize" in error["message"]
    serve(fakes.app(), free_port)
    thread.join(30)
    assert store.get(meeting_id, "fr")["state"] == "done"
    assert fakes.calls.count("asr") == 1


def test_a_service_that_stays_down_fails_the_step_and_retry_does_only_what_is_missing(
    new: Callable[..., str],
    database: Database,
    store: MeetingStore,
    settings: AppSettings,
    worker: MeetingWorker,
    fakes: FakeServices,
    free_port: int,
) -> None:
    alone = settings.model_copy(update={"chat_api_url": f"http://127.0.0.1:{free_port}", "meeting_peer_wait_s": 0.0})
    meeting_id = new()
    MeetingWorker(database, connect(alone), alone, make_huey(alone)).work(meeting_id)
    meeting = store.get(meeting_id, "fr")
    assert (meeting["state"], meeting["error"]["service"]) == ("failed", "chat")
    assert len(meeting["segments"]) == 2, "what was said is not lost"
    store.retry(meeting_id)
    worker.work(meeting_id)
    assert store.get(meeting_id, "fr")["state"] == "done"
    assert fakes.calls.count("asr") == fakes.calls.count("diarize") == 1


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_meeting_that_is_cancelled_or_deleted_stops(
    how: str, new: Callable[..., str], worker: MeetingWorker, store: MeetingStore, fakes: FakeServices
) -> None:
    fakes.gates["asr"] = threading.Event()
    meeting_id = new()
    thread = in_background(worker, meeting_id)
    until(lambda: "asr" in fakes.calls)
    getattr(store, how)(meeting_id)
    thread.join(30)
    assert not thread.is_alive()
    fakes.gates["asr"].set()
    if how == "delete":
        with pytest.raises(ApiError):
            store.get(meeting_id, "fr")
        assert not (store.uploads / "a.wav").exists()
    else:
        assert store.get(meeting_id, "fr")["state"] == "cancelled"
    assert "minutes" not in fakes.calls


def test_a_worker_that_stops_gives_its_meeting_back(
    new: Callable[..., str], worker: MeetingWorker, store: MeetingStore, fakes: FakeServices, settings: AppSettings
) -> None:
    fakes.gates["minutes"] = threading.Event()
    meeting_id = new()
    thread = in_background(worker, meeting_id)
    until(lambda: "minutes" in fakes.calls)
    worker.stop.set()
    thread.join(30)
    fakes.gates["minutes"].set()
    assert store.get(meeting_id, "fr")["state"] == "queued"
    other = MeetingWorker(worker._database, connect(settings), settings, make_huey(settings))
    other.work(meeting_id)
    assert store.get(meeting_id, "fr")["state"] == "done"
    assert fakes.calls.count("asr") == 1


def test_two_workers_never_work_on_one_meeting(
    new: Callable[..., str], worker: MeetingWorker, fakes: FakeServices
) -> None:
    fakes.gates["asr"] = threading.Event()
    meeting_id = new()
    thread = in_background(worker, meeting_id)
    until(lambda: "asr" in fakes.calls)
    worker.work(meeting_id)
    assert fakes.calls.count("asr") == 1
    assert worker.leases.orphans() == []
    fakes.gates["asr"].set()
    thread.join(60)


def test_a_meeting_that_was_never_queued_is_found_in_the_database(
    new: Callable[..., str], worker: MeetingWorker
) -> None:
    meeting_id = new()
    assert worker.rescue() == [meeting_id]
    assert worker.queue.waiting() == {meeting_id}
    assert worker.rescue() == [], "it is in the queue now"


def test_a_recording_that_is_gone_fails_the_meeting(
    new: Callable[..., str], worker: MeetingWorker, store: MeetingStore
) -> None:
    meeting_id = new()
    (store.uploads / "a.wav").unlink()
    worker.work(meeting_id)
    assert store.get(meeting_id, "fr")["error"]["code"] == "recording_missing"


def test_a_worker_that_lost_its_meeting_can_write_nothing(
    new: Callable[..., str], worker: MeetingWorker, store: MeetingStore, fakes: FakeServices
) -> None:
    meeting_id = new()
    job = worker.leases.take(meeting_id)
    assert job is not None
    store.cancel(meeting_id)
    store.retry(meeting_id)
    again = worker.leases.take(meeting_id)
    assert again is not None
    assert again.owner != job.owner
    from app.meetings.record import LostError, Record

    with pytest.raises(LostError):
        Record(worker._database, meeting_id, job.owner).done("asr", {}, seconds=0.1)
    assert replace(again, owner=job.owner) == job
