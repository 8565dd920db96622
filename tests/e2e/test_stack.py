"""The main job, as a person does it over HTTP: a recording in; who said what, minutes and a valid diagram out."""

import json
import re
import time
from io import BytesIO
from typing import Any

import jiwer
import pytest
import urllib3

from common.audio.decode import SPEECH_RATE, AudioReader
from common.audio.wav import write_wav
from scripts.demo import nodes
from scripts.environment import ROOT
from tests.e2e.stack import Stack

SAMPLE = ROOT / "app" / "sample" / "reunion-exemple.ogg"
REFERENCE = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))
STEPS = ["asr", "diarize", "join", "minutes", "diagram"]
MEETING_SECONDS = 240

http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=120), retries=False)


def spelled(text: str) -> str:
    """Words only, as word error rates are counted."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


def finished(stack: Stack, meeting_id: str) -> dict[str, Any]:
    """The meeting once it is over."""
    deadline = time.monotonic() + MEETING_SECONDS
    while True:
        meeting: dict[str, Any] = http.request("GET", f"{stack.app_url}/api/meetings/{meeting_id}").json()
        if meeting["state"] in {"done", "failed", "cancelled"}:
            return meeting
        assert time.monotonic() < deadline, f"not over in {MEETING_SECONDS} s: {meeting['steps']}"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def journey(stack: Stack) -> dict[str, Any]:
    """The sample meeting, sent as a file and followed by its events to its end; the events, and the meeting."""
    answer = http.request(
        "POST",
        f"{stack.app_url}/api/meetings",
        fields={"file": (SAMPLE.name, SAMPLE.read_bytes(), "audio/ogg"), "title": "Le traitement d’une commande"},
    )
    assert answer.status == 202, answer.data
    meeting_id = answer.json()["id"]
    events: list[dict[str, Any]] = []
    stream = http.request("GET", f"{stack.app_url}/api/meetings/{meeting_id}/events", preload_content=False)
    assert stream.headers["X-Accel-Buffering"] == "no"
    try:
        for raw in stream:
            for line in raw.decode().splitlines():
                if line.startswith("data:") and "steps" in line:
                    events.append(json.loads(line.removeprefix("data:")))
            if events and events[-1]["state"] in {"done", "failed", "cancelled"}:
                break
    finally:
        stream.close()
    return {"events": events, "meeting": finished(stack, meeting_id)}


@pytest.fixture(scope="module")
def meeting(journey: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = journey["meeting"]
    return found


def test_every_step_is_done(meeting: dict[str, Any]) -> None:
    assert meeting["state"] == "done", meeting.get("error")
    assert [(step["name"], step["state"]) for step in meeting["steps"]] == [(name, "done") for name in STEPS]
    assert all(step["seconds"] is not None for step in meeting["steps"])


def test_the_page_is_told_as_it_goes(journey: dict[str, Any]) -> None:
    states = [event["state"] for event in journey["events"]]
    assert states[-1] == "done"
    assert "running" in states
    first_running = next(event for event in journey["events"] if event["state"] == "running")
    assert {step["state"] for step in first_running["steps"]} != {"done"}, "only the end was told"


def test_the_sample_is_understood(meeting: dict[str, Any]) -> None:
    said = spelled(" ".join(segment["text"] for segment in REFERENCE["segments"]))
    heard = spelled(" ".join(segment["text"] for segment in meeting["segments"]))
    assert jiwer.wer(said, heard) <= 0.10


def test_two_people_are_told_apart(meeting: dict[str, Any]) -> None:
    assert len(meeting["speakers"]) == 2
    owner: dict[str, set[str]] = {}
    for segment in meeting["segments"]:
        middle = (segment["start"] + segment["end"]) / 2
        person = min(REFERENCE["segments"], key=lambda turn: abs((turn["start"] + turn["end"]) / 2 - middle))["speaker"]
        owner.setdefault(segment["speaker"], set()).add(person)
    assert sorted(map(sorted, owner.values())) == [["David"], ["Julia"]]


def test_words_carry_their_times(meeting: dict[str, Any]) -> None:
    words = [word for segment in meeting["segments"] for word in segment["words"]]
    assert len(words) > 100
    assert all(0 <= word["start"] <= word["end"] <= meeting["duration"] + 0.1 for word in words)
    assert meeting["duration"] == pytest.approx(REFERENCE["duration"], abs=0.2)


def test_minutes_have_content_that_was_said(meeting: dict[str, Any]) -> None:
    minutes = meeting["minutes"]
    assert minutes["markdown"].strip()
    said = spelled(" ".join(segment["text"] for segment in meeting["segments"]))
    points = [*minutes["decisions"], *minutes["open_points"]]
    found = [*(point["text"] for point in points), *(action["what"] for action in minutes["actions"])]
    assert found
    assert all(0 <= item["seconds"] <= meeting["duration"] for item in [*points, *minutes["actions"]])
    assert all(spelled(item) in said for item in found), "the embedded model only copies"


def test_the_diagram_is_valid_for_the_real_parser(stack: Stack, meeting: dict[str, Any]) -> None:
    diagram = meeting["diagram"]
    assert diagram["valid"] is True
    verdict = http.request(
        "POST", f"{stack.app_url}/api/diagrams/validate", json={"mermaid": diagram["mermaid"]}
    ).json()
    assert verdict["valid"] is True
    assert nodes(diagram["mermaid"]) >= 4
    broken = http.request(
        "POST", f"{stack.app_url}/api/diagrams/validate", json={"mermaid": diagram["mermaid"] + "\n n1 --> ((("}
    ).json()
    assert broken["valid"] is False


def test_the_models_that_were_used_are_named(meeting: dict[str, Any]) -> None:
    assert meeting["models"] == {"asr": "pocketsphinx", "diarize": "resemblyzer", "chat": "frigo-mini"}


@pytest.mark.parametrize("kind", ["md", "txt", "srt", "vtt", "json", "rttm", "mmd"])
def test_every_export_can_be_downloaded(stack: Stack, meeting: dict[str, Any], kind: str) -> None:
    answer = http.request("GET", f"{stack.app_url}/api/meetings/{meeting['id']}/export.{kind}")
    assert answer.status == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    text = answer.data.decode()
    assert {"srt": "-->", "vtt": "WEBVTT", "rttm": "SPEAKER", "mmd": "flowchart"}.get(kind, "customer") in text


def test_the_sample_button_marks_the_meeting_as_synthetic(stack: Stack) -> None:
    answer = http.request("POST", f"{stack.app_url}/api/meetings/sample")
    assert answer.status == 202, answer.data
    meeting = http.request("GET", f"{stack.app_url}/api/meetings/{answer.json()['id']}").json()
    assert meeting["synthetic"] is True
    assert http.request("DELETE", f"{stack.app_url}/api/meetings/{meeting['id']}").status == 204


def beginning(seconds: float) -> bytes:
    """The first seconds of the sample, as WAV."""
    wav = BytesIO()
    write_wav(wav, [AudioReader(SAMPLE).read()[: round(seconds * SPEECH_RATE)]], SPEECH_RATE)
    return wav.getvalue()


def test_a_french_recording_goes_through_with_a_warning(stack: Stack) -> None:
    answer = http.request(
        "POST",
        f"{stack.app_url}/api/meetings",
        fields={"file": ("réunion.wav", beginning(19.0), "audio/wav"), "language": "fr"},
    )
    meeting = finished(stack, answer.json()["id"])
    assert meeting["state"] == "done"
    assert meeting["segments"]
    assert any("canary" in warning.lower() for warning in meeting["warnings"])


@pytest.mark.parametrize("name", ["app", "chat", "gpt", "asr", "diarize"])
def test_every_service_shows_its_state(stack: Stack, name: str) -> None:
    url = stack.urls[name]
    spent = []
    while not spent or (min(spent) >= 0.05 and len(spent) < 200):  # more than once: the machine may be busy
        begun = time.monotonic()
        assert http.request("GET", f"{url}/health").json()["service"] == name
        spent.append(time.monotonic() - begun)
    assert min(spent) < 0.05, "/health touches no engine"
    stack.wait_ready(name)
    assert b"frigo_http_requests_total" in http.request("GET", f"{url}/metrics").data
    assert http.request("GET", f"{url}/openapi.json").json()["info"]["title"].startswith("Frigo")


def test_a_dead_service_is_named_and_its_return_is_noticed(stack: Stack) -> None:
    stack.kill("chat")
    try:
        answer = http.request("GET", f"{stack.app_url}/v1/models")
        assert answer.status == 503
        error = answer.json()["error"]
        assert (error["code"], error["service"]) == ("peer_unavailable", "chat")
    finally:
        stack.restart("chat")
    deadline = time.monotonic() + 60
    while http.request("GET", f"{stack.app_url}/v1/models").status != 200:
        assert time.monotonic() < deadline, "app did not notice that chat is back"
        time.sleep(0.3)
