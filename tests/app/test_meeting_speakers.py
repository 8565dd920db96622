"""Who speaks: words joined to exclusive turns, known voices, a voice enrolled from a meeting, names in exports."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.meetings import voice
from app.meetings.jobs import MeetingWorker
from app.meetings.store import MeetingStore, Turns
from app.settings import AppSettings
from common.audio.decode import AudioReader
from tests.app.fakes import FakeServices
from tests.common.audio_files import tone, wav_bytes


@pytest.fixture
def recording() -> bytes:
    """Three seconds of a low tone, then three of a high one."""
    return wav_bytes(np.concatenate([tone(3.0, hertz=200), tone(3.0, hertz=2000)]))


def post(client: Any, data: bytes, **fields: str) -> str:
    answer = client.post("/api/meetings", data={"file": (io.BytesIO(data), "réunion.wav"), **fields})
    assert answer.status_code == 202, answer.json
    return str(answer.json["id"])


@pytest.fixture
def done(client: Any, worker: MeetingWorker, recording: bytes) -> str:
    meeting_id = post(client, recording)
    worker.work(meeting_id)
    return meeting_id


def test_words_are_joined_to_the_turns_with_one_speaker_at_a_time(
    client: Any, worker: MeetingWorker, fakes: FakeServices, wav: bytes
) -> None:
    fakes.turns = [("SPEAKER_00", 0.0, 2.1), ("SPEAKER_01", 1.1, 2.1)]
    fakes.exclusive = [("SPEAKER_00", 0.0, 1.0), ("SPEAKER_01", 1.1, 2.1)]
    meeting_id = post(client, wav)
    worker.work(meeting_id)
    segments = client.get(f"/api/meetings/{meeting_id}").json["segments"]
    assert [(s["speaker"], s["text"]) for s in segments] == [
        ("SPEAKER_00", "Hello there."),
        ("SPEAKER_01", "Hi Anna."),
    ]


def test_known_voices_give_their_names(client: Any, worker: MeetingWorker, fakes: FakeServices, wav: bytes) -> None:
    fakes.known = {"SPEAKER_01": "Anna Roche"}
    meeting_id = post(client, wav)
    worker.work(meeting_id)
    meeting = client.get(f"/api/meetings/{meeting_id}").json
    assert meeting["speakers"] == {"SPEAKER_00": "Intervenant 1", "SPEAKER_01": "Anna Roche"}
    assert meeting["recognised"] == {"SPEAKER_01": {"name": "Anna Roche", "similarity": 0.93}}
    assert fakes.bodies["minutes"]["segments"][1]["speaker"] == "Anna Roche"
    for ext in ("txt", "srt", "vtt", "md", "json"):
        assert "Anna Roche" in client.get(f"/api/meetings/{meeting_id}/export.{ext}").text
    lines = client.get(f"/api/meetings/{meeting_id}/export.rttm").text.splitlines()
    assert [line.split()[7] for line in lines] == ["SPEAKER_00", "Anna_Roche"]
    assert {len(line.split()) for line in lines} == {10}
    renamed = client.patch(f"/api/meetings/{meeting_id}", json={"speakers": {"SPEAKER_01": ""}}).json
    assert renamed["speakers"]["SPEAKER_01"] == "Intervenant 2", "a wrong name can be taken back"


def test_a_name_that_a_person_gave_is_kept_when_the_step_is_done_again(
    client: Any, worker: MeetingWorker, fakes: FakeServices, wav: bytes
) -> None:
    fakes.known = {"SPEAKER_01": "Anna"}
    meeting_id = post(client, wav)
    client.patch(f"/api/meetings/{meeting_id}", json={"speakers": {"SPEAKER_01": "Madame Roche"}})
    worker.work(meeting_id)
    meeting = client.get(f"/api/meetings/{meeting_id}").json
    assert meeting["speakers"]["SPEAKER_01"] == "Madame Roche"
    assert fakes.bodies["minutes"]["segments"][1]["speaker"] == "Madame Roche", "the names of now, not of the beginning"


@pytest.mark.parametrize(
    "fields", [{"num_speakers": "3"}, {"min_speakers": "2", "max_speakers": "4"}, {"max_speakers": "2"}]
)
def test_the_number_of_people_reaches_diarize(
    client: Any, worker: MeetingWorker, fakes: FakeServices, wav: bytes, fields: dict[str, str]
) -> None:
    worker.work(post(client, wav, **fields))
    assert fakes.forms["diarize"] == [fields]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"min_speakers": "4", "max_speakers": "2"}, "min_speakers"),
        ({"num_speakers": "2", "max_speakers": "1"}, "num_speakers"),
        ({"num_speakers": "2", "min_speakers": "3"}, "num_speakers"),
        ({"max_speakers": "0"}, "max_speakers"),
        ({"min_speakers": "many"}, "min_speakers"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(
    client: Any, settings: AppSettings, wav: bytes, fields: dict[str, str], param: str
) -> None:
    answer = client.post("/api/meetings", data={"file": (io.BytesIO(wav), "a.wav"), **fields})
    assert (answer.status_code, answer.json["error"]["param"]) == (400, param)
    assert list(settings.uploads_dir.iterdir()) == []


def test_a_voice_is_enrolled_from_a_meeting(
    client: Any, worker: MeetingWorker, fakes: FakeServices, recording: bytes
) -> None:
    fakes.words = [("hello", 0.0, 0.4), ("hi", 3.2, 3.6), ("Anna", 3.7, 4.0)]
    fakes.turns = [("SPEAKER_00", 0.0, 3.0), ("SPEAKER_01", 3.0, 6.0)]
    meeting_id = post(client, recording)
    worker.work(meeting_id)
    answer = client.post(f"/api/meetings/{meeting_id}/speakers/SPEAKER_01/voice", json={"name": " Anna Roche "})
    assert (answer.status_code, answer.json["id"]) == (201, "v1")
    assert fakes.forms["voices"] == [{"name": "Anna Roche"}]
    sent = AudioReader(io.BytesIO(fakes.bodies["voices"])).read()
    assert sent.size == pytest.approx(2.5 * 16_000, abs=2), "the turn without its edges"
    spectrum = np.abs(np.fft.rfft(sent))
    assert np.argmax(spectrum) * 16_000 / sent.size == pytest.approx(2000, abs=5), "that speaker, not the other"
    assert client.get(f"/api/meetings/{meeting_id}").json["speakers"]["SPEAKER_01"] == "Anna Roche"


@pytest.mark.parametrize(
    ("code", "word"), [("too_little_speech", "assez longtemps"), ("several_voices", "confondu deux personnes")]
)
def test_a_voice_that_diarize_refuses_is_said_for_that_meeting(
    client: Any, fakes: FakeServices, done: str, code: str, word: str
) -> None:
    fakes.refusals["voices"] = (400, code)
    answer = client.post(f"/api/meetings/{done}/speakers/SPEAKER_00/voice", json={"name": "Léa"})
    assert (answer.status_code, answer.json["error"]["code"], answer.json["error"]["param"]) == (400, code, "speaker")
    assert word in answer.json["error"]["message"]
    assert client.get(f"/api/meetings/{done}").json["speakers"]["SPEAKER_00"] == "Intervenant 1", "nothing changed"


def test_voices_that_cannot_be_cut_are_refused(
    client: Any, settings: AppSettings, done: str, store: MeetingStore
) -> None:
    def enrol(meeting_id: str, speaker: str, body: Any) -> tuple[int, str]:
        answer = client.post(f"/api/meetings/{meeting_id}/speakers/{speaker}/voice", json=body)
        return answer.status_code, answer.json["error"]["code"]

    assert enrol("nope", "SPEAKER_00", {"name": "Léa"}) == (404, "meeting_not_found")
    assert enrol(done, "SPEAKER_09", {"name": "Léa"}) == (404, "speaker_not_found")
    assert enrol(done, "SPEAKER_00", {"name": "  "}) == (400, "invalid_value")
    assert enrol(done, "SPEAKER_00", {}) == (400, "missing_field")
    store.recording(done)[0].unlink()
    assert enrol(done, "SPEAKER_00", {"name": "Léa"}) == (410, "recording_missing")


def turns(*given: tuple[str, float, float]) -> list[dict[str, Any]]:
    return [{"speaker": who, "start": start, "end": end} for who, start, end in given]


def test_the_longest_turns_in_which_nobody_else_speaks_are_cut() -> None:
    everybody = turns(("A", 0.0, 10.0), ("B", 4.0, 5.0), ("A", 20.0, 22.0), ("A", 30.0, 30.9), ("B", 40.0, 60.0))
    alone = turns(("A", 0.0, 4.0), ("B", 4.0, 5.0), ("A", 5.0, 10.0), ("A", 20.0, 22.0), ("A", 30.0, 30.9))
    spans = voice.best_spans(Turns(everybody, alone, {}), "A")
    assert spans == [(0.25, 3.75), (5.25, 9.75), (20.25, 21.75)], "in the order of time, without edges, not the short"


def test_no_more_than_half_a_minute_is_cut() -> None:
    given = turns(("A", 0.0, 20.0), ("A", 30.0, 70.0), ("A", 80.0, 90.0))
    assert voice.best_spans(Turns(given, given, {}), "A") == [(30.25, 60.25)]
    short = turns(("A", 0.0, 0.6), ("A", 5.0, 5.4))
    assert voice.best_spans(Turns(short, short, {}), "A") == [(0.0, 0.6), (5.0, 5.4)], "rather than nothing"
    assert voice.best_spans(Turns(short, short, {}), "B") == []


def test_stretches_are_cut_to_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = np.linspace(-0.9, 0.9, 5 * 16_000, dtype=np.float32)
    path.write_bytes(wav_bytes(samples))
    found = AudioReader(io.BytesIO(voice.cut(path, [(0.5, 1.25), (2.9, 3.1)]))).read()
    expected = np.concatenate([samples[8_000:20_000], samples[46_400:49_600]])
    assert found.size == expected.size
    assert np.abs(found - expected).max() < 1e-3


def test_progress_is_told_in_seconds(client: Any, worker: MeetingWorker, fakes: FakeServices, wav: bytes) -> None:
    import threading

    from tests.app.fakes import until

    fakes.gates = {"asr": threading.Event(), "diarize": threading.Event()}
    meeting_id = post(client, wav)
    thread = threading.Thread(target=worker.work, args=(meeting_id,), daemon=True)
    thread.start()

    def steps() -> dict[str, dict[str, Any]]:
        return {step["name"]: step for step in client.get(f"/api/meetings/{meeting_id}").json["steps"]}

    until(lambda: all("seconds_done" in steps()[name] for name in ("asr", "diarize")))
    asr, diarize, join = (steps()[name] for name in ("asr", "diarize", "join"))
    assert {key: asr[key] for key in ("seconds_done", "seconds_total", "rate", "eta_seconds")} == {
        "seconds_done": 1.05, "seconds_total": 2.1, "rate": 4.0, "eta_seconds": 0.3,
    }  # fmt: skip
    assert (diarize["seconds_done"], diarize["seconds_total"]) == (1.05, 2.1)
    assert "rate" not in diarize, "what is not known is left out"
    assert "eta_seconds" not in diarize
    assert not {"seconds_done", "seconds_total", "rate", "eta_seconds"} & set(join)
    events = client.get(f"/api/meetings/{meeting_id}/events", buffered=False)
    first = json.loads(next(iter(events.response)).decode().split("data: ", 1)[1])
    assert first["steps"][0]["seconds_done"] == 1.05
    for gate in fakes.gates.values():
        gate.set()
    thread.join(60)
    assert steps()["asr"]["seconds_done"] == 2.1
    assert "eta_seconds" not in steps()["asr"]


def test_cancelling_ends_both_calls(client: Any, worker: MeetingWorker, fakes: FakeServices, wav: bytes) -> None:
    import threading

    from tests.app.fakes import until

    fakes.gates = {"asr": threading.Event(), "diarize": threading.Event()}
    meeting_id = post(client, wav)
    thread = threading.Thread(target=worker.work, args=(meeting_id,), daemon=True)
    thread.start()
    until(lambda: {"asr", "diarize"} <= set(fakes.calls))
    client.post(f"/api/meetings/{meeting_id}/cancel")
    until(lambda: {"asr", "diarize"} <= set(fakes.closed))
    thread.join(30)
    meeting = client.get(f"/api/meetings/{meeting_id}").json
    assert meeting["state"] == "cancelled"
    assert "seconds_done" not in meeting["steps"][0]


def test_what_asr_and_diarize_warn_of_reaches_the_meeting(
    client: Any, worker: MeetingWorker, fakes: FakeServices, wav: bytes
) -> None:
    fakes.asr_warnings = ["12 s de parole n'ont pas pu être lues.", "Langue supposée : fr."]
    meeting_id = post(client, wav)
    worker.work(meeting_id)
    assert client.get(f"/api/meetings/{meeting_id}").json["warnings"] == fakes.asr_warnings
    assert "12 s de parole" in client.get(f"/api/meetings/{meeting_id}/export.md").text
