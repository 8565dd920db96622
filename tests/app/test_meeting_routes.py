"""/api/meetings as a browser and a program use it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from app.meetings.jobs import MeetingQueue, MeetingWorker
from app.settings import AppSettings
from tests.app.fakes import FakeServices, tone


def post(client: Any, data: bytes, name: str = "réunion.wav", **fields: str) -> Any:
    return client.post("/api/meetings", data={"file": (io.BytesIO(data), name), **fields})


@pytest.fixture
def done(client: Any, worker: MeetingWorker, wav: bytes) -> str:
    """A meeting whose work is over."""
    meeting_id: str = post(client, wav, title="Point hebdo <b>").json["id"]
    worker.work(meeting_id)
    return meeting_id


def test_a_recording_is_accepted_on_disk_and_queued(
    client: Any, settings: AppSettings, queue: MeetingQueue, wav: bytes
) -> None:
    answer = post(client, wav, title=" Comité ", language="fr", num_speakers="2")
    assert answer.status_code == 202
    meeting_id = answer.json["id"]
    assert answer.headers["Location"] == f"/api/meetings/{meeting_id}"
    assert queue.waiting() == {meeting_id}
    meeting = client.get(f"/api/meetings/{meeting_id}").json
    assert (meeting["state"], meeting["title"], meeting["synthetic"]) == ("queued", "Comité", False)
    assert [step["name"] for step in meeting["steps"]] == ["asr", "diarize", "join", "minutes", "diagram"]
    assert {step["state"] for step in meeting["steps"]} == {"pending"}
    stored = list(settings.uploads_dir.iterdir())
    assert [path.read_bytes() for path in stored] == [wav]
    assert stored[0].suffix == ".wav"


def test_without_a_title_the_meeting_is_called_after_its_file(client: Any, wav: bytes) -> None:
    meeting_id = post(client, wav, "Point été.wav").json["id"]
    assert client.get(f"/api/meetings/{meeting_id}").json["title"] == "Point été"


def test_a_title_is_one_line_that_any_database_takes(client: Any, wav: bytes) -> None:
    meeting_id = post(client, wav, title="Comité\0du\r\nlundi\x1b").json["id"]
    meeting = client.get(f"/api/meetings/{meeting_id}").json
    assert meeting["title"] == "Comité du lundi"
    changed = client.patch(f"/api/meetings/{meeting_id}", json={"title": "Point\0été"}).json
    assert changed["title"] == "Point été"
    unnamed = client.get(f"/api/meetings/{post(client, wav, 'a' + chr(0) + 'b.wav').json['id']}").json
    assert not {chr(0), chr(10)} & set(unnamed["title"] + unnamed["file_name"])


def test_a_hostile_file_name_leads_nowhere(client: Any, settings: AppSettings, wav: bytes) -> None:
    assert post(client, wav, "../../../../tmp/evil.sh\x00.html").status_code == 202
    (stored,) = settings.uploads_dir.iterdir()
    assert stored.suffix == ".bin"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"%PDF-1.7 this is not a recording" * 50, "invalid_audio"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "invalid_audio"),
        (tone(0), "empty_audio"),
    ],
)
def test_what_is_not_a_recording_is_refused_and_leaves_nothing(
    data: bytes, code: str, client: Any, settings: AppSettings, queue: MeetingQueue
) -> None:
    answer = post(client, data)
    assert (answer.status_code, answer.json["error"]["code"], answer.json["error"]["param"]) == (400, code, "file")
    assert list(settings.uploads_dir.iterdir()) == []
    assert queue.waiting() == set()
    assert client.get("/api/meetings").json["data"] == []


def test_a_silent_recording_is_accepted(client: Any) -> None:
    import wave

    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(32000))
    assert post(client, data.getvalue()).status_code == 202


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"num_speakers": "zero"}, "num_speakers"),
        ({"num_speakers": "0"}, "num_speakers"),
        ({"language": "../fr"}, "language"),
    ],
)
def test_a_wrong_field_is_named_and_leaves_nothing(
    fields: dict[str, str], param: str, client: Any, settings: AppSettings, wav: bytes
) -> None:
    answer = post(client, wav, **fields)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, param)
    assert "pattern" not in answer.json["error"]["message"]
    assert list(settings.uploads_dir.iterdir()) == []


def test_blank_fields_count_as_absent(client: Any, wav: bytes) -> None:
    assert post(client, wav, title="", language="auto", num_speakers=" ").status_code == 202


@pytest.mark.parametrize("body", [{"data": {"title": "x"}}, {"json": {"file": "x"}}, {}])
def test_a_body_without_a_file_is_refused(body: dict[str, Any], client: Any) -> None:
    answer = client.post("/api/meetings", **body)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "missing_file")


def test_an_upload_over_the_limit_is_refused(client: Any, settings: AppSettings) -> None:
    answer = post(client, bytes(3 * 2**20))
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "upload_too_large")
    assert "MAX_UPLOAD_MB" in answer.json["error"]["message"]
    assert list(settings.uploads_dir.iterdir()) == []


def test_meetings_are_listed_newest_first_without_their_transcript(client: Any, wav: bytes) -> None:
    ids = [post(client, wav, title=str(n)).json["id"] for n in range(3)]
    listed = client.get("/api/meetings?limit=2").json
    assert [meeting["id"] for meeting in listed["data"]] == ids[:0:-1]
    assert listed["total"] == 3
    assert "segments" not in listed["data"][0]


def test_title_and_names_can_be_changed(client: Any, done: str) -> None:
    change = {"title": "Comité", "speakers": {"SPEAKER_00": "Léa"}}
    meeting = client.patch(f"/api/meetings/{done}", json=change).json
    assert (meeting["title"], meeting["speakers"]["SPEAKER_00"]) == ("Comité", "Léa")
    meeting = client.patch(f"/api/meetings/{done}", json={"speakers": {"SPEAKER_00": ""}}).json
    assert meeting["speakers"]["SPEAKER_00"] == "Intervenant 1"


@pytest.mark.parametrize(
    "change", [{"title": ""}, {"speakers": {"a b": "x"}}, {"speakers": {"A": "x\ny"}}, {"x": 1}, []]
)
def test_a_wrong_change_is_refused(change: Any, client: Any, done: str) -> None:
    assert client.patch(f"/api/meetings/{done}", json=change).status_code == 400


def test_a_meeting_can_be_cancelled_tried_again_and_deleted(
    client: Any, queue: MeetingQueue, settings: AppSettings, wav: bytes
) -> None:
    meeting_id = post(client, wav).json["id"]
    assert client.post(f"/api/meetings/{meeting_id}/cancel").json["state"] == "cancelled"
    assert client.post(f"/api/meetings/{meeting_id}/retry").json["state"] == "queued"
    assert client.delete(f"/api/meetings/{meeting_id}").status_code == 204
    assert client.get(f"/api/meetings/{meeting_id}").status_code == 404
    assert list(settings.uploads_dir.iterdir()) == []


def test_a_meeting_that_is_done_has_nothing_to_try_again(client: Any, done: str) -> None:
    answer = client.post(f"/api/meetings/{done}/retry")
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "nothing_to_retry")


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", ""), ("patch", ""), ("delete", ""), ("post", "/cancel"), ("post", "/retry"), ("get", "/audio"),
     ("get", "/events"), ("get", "/export.md")],
)  # fmt: skip
def test_an_unknown_meeting_is_a_404(method: str, path: str, client: Any) -> None:
    body = {"json": {"title": "x"}} if method == "patch" else {}
    answer = getattr(client, method)(f"/api/meetings/nope{path}", **body)
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "meeting_not_found")


def test_the_recording_can_be_listened_to_from_anywhere(client: Any, done: str, wav: bytes) -> None:
    whole = client.get(f"/api/meetings/{done}/audio")
    assert (whole.data, whole.mimetype, whole.headers["Accept-Ranges"]) == (wav, "audio/wav", "bytes")
    part = client.get(f"/api/meetings/{done}/audio", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.data) == (206, wav[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(wav)}"
    beyond = client.get(f"/api/meetings/{done}/audio", headers={"Range": f"bytes={len(wav)}-"})
    assert beyond.status_code == 416


def test_a_recording_is_never_served_as_a_page(client: Any, wav: bytes) -> None:
    meeting_id = post(client, wav, "x.html").json["id"]
    answer = client.get(f"/api/meetings/{meeting_id}/audio")
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_events_give_the_meeting_at_each_change_until_it_is_over(
    client: Any, worker: MeetingWorker, wav: bytes, fakes: FakeServices
) -> None:
    import threading

    fakes.gates["minutes"] = threading.Event()
    meeting_id = post(client, wav).json["id"]
    answer = client.get(f"/api/meetings/{meeting_id}/events", buffered=False)
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    threading.Thread(target=worker.work, args=(meeting_id,), daemon=True).start()
    seen = []
    for chunk in answer.response:
        name, data = chunk.decode().strip().split("\n", 1)
        assert name == "event: meeting"
        meeting = json.loads(data.removeprefix("data: "))
        seen.append(meeting)
        if meeting["segments"]:
            fakes.gates["minutes"].set()
    assert [seen[0]["state"], seen[-1]["state"]] == ["queued", "done"]
    assert any(m["state"] == "running" and m["segments"] and m["minutes"] is None for m in seen)
    assert seen[-1] == client.get(f"/api/meetings/{meeting_id}").json


def test_events_of_a_meeting_that_is_over_give_it_once(client: Any, done: str) -> None:
    body = client.get(f"/api/meetings/{done}/events").data.decode()
    assert body.count("event: meeting") == 1


def test_messages_follow_the_language_of_the_reader(client: Any, done: str) -> None:
    french = client.get(f"/api/meetings/{done}", headers={"Accept-Language": "fr"}).json
    assert french["speakers"]["SPEAKER_00"] == "Intervenant 1"
    answer = client.get("/api/meetings/nope", headers={"Accept-Language": "fr"})
    assert answer.json["error"]["message"].startswith("Aucune réunion")


def test_the_sample_meeting_says_that_it_is_synthetic(client: Any) -> None:
    answer = client.post("/api/meetings/sample")
    assert answer.status_code == 202
    assert client.get(f"/api/meetings/{answer.json['id']}").json["synthetic"] is True


@pytest.mark.parametrize(
    ("ext", "mimetype", "text"),
    [
        ("md", "text/markdown", "# Point hebdo \\<b\\>"),
        ("txt", "text/plain", "[00:01] Intervenant 2: Hi Anna.\n"),
        ("srt", "application/x-subrip", "1\n00:00:00,000 --> 00:00:01,000\n[Intervenant 1] Hello there.\n"),
        ("vtt", "text/vtt", "WEBVTT\n"),
        ("json", "application/json", '"text": "Hi Anna."'),
        ("rttm", "text/plain", " 1 1.100 1.000 <NA> <NA> SPEAKER_01 <NA> <NA>\n"),
        ("mmd", "text/plain", 'flowchart TD\n  n1["hi Anna"]\n'),
    ],
)
def test_a_meeting_can_be_downloaded(ext: str, mimetype: str, text: str, client: Any, done: str) -> None:
    answer = client.get(f"/api/meetings/{done}/export.{ext}")
    assert (answer.status_code, answer.mimetype) == (200, mimetype)
    assert text in answer.data.decode()
    assert f"filename*=UTF-8''Point%20hebdo%20b.{ext}" in answer.headers["Content-Disposition"]


def test_an_svg_is_made_by_the_page(client: Any, done: str) -> None:
    answer = client.get(f"/api/meetings/{done}/export.svg")
    assert (answer.status_code, answer.json["error"]["code"]) == (501, "svg_in_browser")


def test_an_unknown_format_is_a_404_that_lists_the_known_ones(client: Any, done: str) -> None:
    answer = client.get(f"/api/meetings/{done}/export.docx")
    assert answer.status_code == 404
    assert "srt" in answer.json["error"]["message"]


def test_a_meeting_without_a_diagram_has_none_to_download(client: Any, wav: bytes) -> None:
    meeting_id = post(client, wav).json["id"]
    assert client.get(f"/api/meetings/{meeting_id}/export.mmd").json["error"]["code"] == "no_diagram"


def test_a_page_beyond_what_a_database_counts_is_refused(client: Any) -> None:
    answer = client.get("/api/meetings", query_string={"offset": 2**63})
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "offset")
