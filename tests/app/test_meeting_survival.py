"""kill -9 of the worker at any step: the meeting goes on from what was recorded."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from app.database import Database
from app.meetings.jobs import MeetingQueue
from app.meetings.leases import Leases, is_gone, this_process
from app.meetings.store import MeetingStore, NewMeeting
from app.settings import AppSettings
from tests.app.fakes import SERVICE, FakeServices, tone, until
from tests.app.processes import environment, start_worker

BEFORE = {"asr": [], "minutes": ["asr", "diarize"], "diagram": ["asr", "diarize", "minutes"]}


@pytest.fixture
def env(settings: AppSettings) -> dict[str, str]:
    url = settings.chat_api_url
    return environment(
        data_dir=settings.data_dir, chat_api_url=url, gpt_api_url=url, asr_api_url=url, diarize_api_url=url,
        service_token=SERVICE,
    )  # fmt: skip


@pytest.fixture
def meeting_id(settings: AppSettings, store: MeetingStore, queue: MeetingQueue) -> str:
    settings.uploads_dir.mkdir(parents=True)
    (settings.uploads_dir / "a.wav").write_bytes(tone(2.1))
    created = store.create(NewMeeting(stored_name="a.wav", file_name="a.wav", size=1))
    queue.put(created)
    return created


def is_over(store: MeetingStore, meeting_id: str) -> Any:
    found = store.version(meeting_id)
    return found is not None and found[1] in ("done", "failed")


@pytest.mark.parametrize("step", list(BEFORE))
def test_a_meeting_survives_its_worker_s_death(
    step: str, env: dict[str, str], meeting_id: str, store: MeetingStore, fakes: FakeServices, tmp_path: Path
) -> None:
    fakes.gates[step] = threading.Event()
    worker = start_worker(env, tmp_path / "first.log")
    until(lambda: step in fakes.calls)
    if step == "asr":
        until(lambda: store.get(meeting_id, "fr")["steps"][1]["state"] == "done")
    worker.kill()
    assert store.get(meeting_id, "fr")["state"] == "running", "nobody has tidied up"
    fakes.gates.pop(step).set()
    fakes.calls.clear()

    second = start_worker(env, tmp_path / "second.log")
    try:
        until(lambda: is_over(store, meeting_id))
    finally:
        second.stop()
    meeting = store.get(meeting_id, "fr")
    assert (meeting["state"], len(meeting["segments"])) == ("done", 2), second.output
    assert not set(BEFORE[step]) & set(fakes.calls), "what was recorded is not done again"
    assert fakes.calls[0] == step
    if step == "asr":
        assert "diarize" not in fakes.calls


def test_a_worker_that_is_asked_to_stop_gives_the_meeting_back_at_once(
    env: dict[str, str], meeting_id: str, store: MeetingStore, fakes: FakeServices, tmp_path: Path
) -> None:
    fakes.gates["minutes"] = threading.Event()
    worker = start_worker(env, tmp_path / "log")
    until(lambda: "minutes" in fakes.calls)
    assert worker.stop() == 0, worker.output
    assert store.get(meeting_id, "fr")["state"] == "queued"
    assert "Traceback" not in worker.output
    fakes.gates["minutes"].set()


def test_a_live_worker_s_lease_is_respected_and_a_dead_one_s_is_not(
    database: Database, settings: AppSettings, meeting_id: str, leases: Leases
) -> None:
    other = Leases(database, settings.uploads_dir)
    job = other.take(meeting_id)
    assert job is not None
    assert job.owner.startswith(this_process())
    assert leases.take(meeting_id) is None
    assert not is_gone(this_process())


@pytest.mark.parametrize(
    ("owner", "gone"),
    [
        ("{here}/999999999/1.00/x", True),
        ("{here}/{pid}/1.00/x", True),
        ("elsewhere/999999999/1.00/x", False),
        ("?", False),
    ],
)
def test_only_a_process_of_this_machine_can_be_known_to_be_gone(owner: str, gone: bool) -> None:
    here, pid, _born = this_process().split("/")
    assert is_gone(owner.format(here=here, pid=pid)) is gone


def test_a_lease_of_another_machine_ends_with_time(
    database: Database, settings: AppSettings, meeting_id: str, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    import app.meetings.leases as module

    far = Leases(database, settings.uploads_dir)
    far.process = "elsewhere/1/1.00"
    assert far.take(meeting_id) is not None
    assert leases.take(meeting_id) is None
    monkeypatch.setattr(module, "LEASE", timedelta(seconds=-1))
    far.renew()
    assert leases.orphans() == [meeting_id]
    assert leases.take(meeting_id) is not None
