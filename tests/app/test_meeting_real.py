"""Meetings with the real asr and diarize (their embedded engines), killed on the way."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from app.database import Database
from app.meetings.jobs import MeetingQueue
from app.meetings.record import Record
from app.meetings.store import MeetingStore, NewMeeting
from app.settings import AppSettings
from tests.app.fakes import SERVICE, until
from tests.app.processes import ROOT, Process, environment, start_worker
from tests.ports import free_port

pytestmark = pytest.mark.slow
SAMPLE = ROOT / "app" / "sample" / "reunion-exemple.ogg"
SCRIPT = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))


class Service:
    """asr or diarize under gunicorn, always on the same port."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: Process | None = None

    def start(self) -> None:
        env = environment(data_dir=self._folder / self.name, port=self.port, service_token=SERVICE)
        env |= {f"{self.name.upper()}_MODEL": "embedded", "IA_USE_GPU": "false"}
        command = ["gunicorn", "-c", "python:common.web.gunicorn_conf", f"{self.name}.wsgi:app"]
        self._process = Process(command, env, self._folder / f"{self.name}.log")

        def ready() -> bool:
            assert self._process is not None
            assert self._process.alive(), self._process.output
            try:
                return urllib3.request("GET", f"{self.url}/ready", retries=False, timeout=5).status == 200
            except urllib3.exceptions.HTTPError:
                return False

        until(ready, 120)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def post(self, path: str, file: Path, **fields: str) -> dict[str, Any]:
        body = {**fields, "file": (file.name, file.read_bytes(), "application/octet-stream")}
        headers = {"X-Service-Token": SERVICE}
        answer = urllib3.request("POST", self.url + path, fields=body, headers=headers, retries=False, timeout=300)
        assert answer.status == 200, answer.data
        return dict(json.loads(answer.data))


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    folder = tmp_path_factory.mktemp("services")
    found = {name: Service(name, folder) for name in ("asr", "diarize")}
    for service in found.values():
        service.start()
    yield found
    for service in found.values():
        service.kill()


@pytest.fixture
def real(settings: AppSettings, services: dict[str, Service]) -> AppSettings:
    urls = {f"{name}_api_url": service.url for name, service in services.items()}
    return settings.model_copy(update=urls)


@pytest.fixture
def env(real: AppSettings) -> dict[str, str]:
    return environment(
        data_dir=real.data_dir, chat_api_url=real.chat_api_url, gpt_api_url=real.gpt_api_url,
        asr_api_url=real.asr_api_url, diarize_api_url=real.diarize_api_url, service_token=SERVICE,
    )  # fmt: skip


def submit(settings: AppSettings, store: MeetingStore, queue: MeetingQueue, recording: Path, **fields: Any) -> str:
    settings.uploads_dir.mkdir(parents=True, exist_ok=True)
    name = f"{time.monotonic_ns()}{recording.suffix}"
    shutil.copyfile(recording, settings.uploads_dir / name)
    new = NewMeeting(stored_name=name, file_name=recording.name, size=1, language="en", **fields)
    meeting_id = store.create(new)
    queue.put(meeting_id)
    return meeting_id


def through(database: Database, meeting_id: str) -> float:
    return Record(database, meeting_id, "nobody").parts()[1]


def test_kills_of_asr_and_of_the_worker_lose_and_double_no_word(
    services: dict[str, Service],
    real: AppSettings,
    env: dict[str, str],
    store: MeetingStore,
    queue: MeetingQueue,
    database: Database,
    tmp_path: Path,
) -> None:
    whole = services["asr"].post("/api/audio/transcribe", SAMPLE, language="en")
    meeting_id = submit(real, store, queue, SAMPLE, num_speakers=2)
    worker = start_worker(env, tmp_path / "first.log")
    until(lambda: through(database, meeting_id) > 0.0, 120)
    services["asr"].kill()
    until(lambda: store.get(meeting_id, "fr")["steps"][0]["state"] == "waiting", 60)
    stopped = through(database, meeting_id)
    assert 0.0 < stopped < whole["duration"]
    services["asr"].start()
    until(lambda: through(database, meeting_id) > stopped, 120)
    worker.kill()
    again = through(database, meeting_id)
    assert stopped < again < whole["duration"], "the worker is killed while asr is under way"
    second = start_worker(env, tmp_path / "second.log")
    try:
        until(lambda: store.version(meeting_id)[1] in ("done", "failed"), 200)  # type: ignore[index]
    finally:
        second.stop()
    meeting = store.get(meeting_id, "fr")
    assert any("démonstration" in warning for warning in meeting["warnings"])
    words = sorted((w for s in meeting["segments"] for w in s["words"]), key=lambda w: w["start"])
    said = [word["word"].strip(".,").lower() for word in words]
    assert said == [word["word"].strip(".,").lower() for word in whole["words"]]
    assert [word["start"] for word in words] == [pytest.approx(word["start"], abs=0.02) for word in whole["words"]]


def test_a_short_meeting_is_not_kept_waiting_by_a_long_one(
    services: dict[str, Service],
    real: AppSettings,
    env: dict[str, str],
    store: MeetingStore,
    queue: MeetingQueue,
    tmp_path: Path,
) -> None:
    from common.audio.decode import AudioReader
    from tests.common.audio_files import wav_bytes

    short = tmp_path / "short.wav"
    short.write_bytes(wav_bytes(AudioReader(SAMPLE).read()[: 8 * 16_000]))
    worker = start_worker(env, tmp_path / "log")
    try:
        long_id = submit(real, store, queue, SAMPLE, num_speakers=2)
        until(lambda: store.get(long_id, "fr")["steps"][0]["state"] == "running", 60)
        short_id = submit(real, store, queue, short, num_speakers=1)
        until(lambda: store.get(short_id, "fr")["steps"][2]["state"] == "done", 200)
        assert store.get(long_id, "fr")["steps"][0]["state"] == "running", "the long one is still being heard"
        until(lambda: store.get(long_id, "fr")["steps"][2]["state"] == "done", 200)
    finally:
        worker.stop()


def test_a_person_named_in_one_meeting_is_known_in_the_next(
    services: dict[str, Service], settings: AppSettings, store: MeetingStore, queue: MeetingQueue, tmp_path: Path
) -> None:
    """diarize is real; what is said does not matter here."""
    from app.factory import create_app
    from app.meetings.jobs import MeetingWorker, make_huey
    from app.peers import connect
    from common.audio.decode import AudioReader
    from tests.common.audio_files import wav_bytes

    mixed = settings.model_copy(update={"diarize_api_url": services["diarize"].url})
    worker = MeetingWorker(store.database, connect(mixed), mixed, make_huey(mixed))
    client = create_app(mixed).test_client()
    sound = AudioReader(SAMPLE).read()
    ids = []
    for name, start, end in (("first.wav", 0, 36), ("second.wav", 36, 75)):
        (tmp_path / name).write_bytes(wav_bytes(sound[start * 16_000 : end * 16_000]))
        ids.append(submit(mixed, store, queue, tmp_path / name, num_speakers=2))
    worker.work(ids[0])
    answer = client.post(f"/api/meetings/{ids[0]}/speakers/SPEAKER_00/voice", json={"name": "Julia"})
    assert answer.status_code == 201, answer.json
    try:
        worker.work(ids[1])
        first, second = (client.get(f"/api/meetings/{one}").json for one in ids)
        assert first["speakers"] == {"SPEAKER_00": "Julia"}, "the fake asr hears her only"
        assert [found["name"] for found in second["recognised"].values()] == ["Julia"], "once, and David is nobody"
        (speaker,) = second["recognised"]
        turns = store.turns(ids[1])
        julia = next(s for s in SCRIPT["segments"] if s["speaker"] == "Julia" and s["start"] > 36)
        middle = (julia["start"] + julia["end"]) / 2 - 36
        assert [t["speaker"] for t in turns.exclusive if t["start"] < middle < t["end"]] == [speaker]
        rttm = client.get(f"/api/meetings/{ids[1]}/export.rttm").text
        assert {line.split()[7] for line in rttm.splitlines()} >= {"Julia"}
    finally:
        deleted = urllib3.request(
            "DELETE",
            f"{services['diarize'].url}/api/diarization/voices/{answer.json['id']}",
            headers={"X-Service-Token": SERVICE},
        )
    assert deleted.status == 204
