"""The diarize service on pyannote, in real processes: from the hub's refusals to the turns, through HTTP.

The pipelines are small and random (`pyannote_models`): what is tested is that everything holds together.
"""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import wave
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest

from tests.diarize.pyannote_env import answers, pyannote_python, run, service
from tests.hub_server import Fault, HubServer

pytestmark = pytest.mark.slow

TOKEN = "hf_token_of_the_test"
RATE = 16_000
HOSTILE = "team/speaker-diarization-hostile"
SEGMENTATION = "pyannote/segmentation-3.0"
BOUNDARY = "frontier"


class Running(NamedTuple):
    """A diarize service, its hub and where it keeps its files."""

    address: str
    hub: HubServer
    folder: Path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    python = pyannote_python()
    folder = tmp_path_factory.mktemp("service")
    run(python, "pyannote_models.py", str(folder / "hub"))
    hub = HubServer({f"pyannote/{path.name}": path for path in (folder / "hub" / "pyannote").iterdir()}, token=TOKEN)
    hub.repos[HOSTILE] = folder / "hub" / "pyannote" / "hostile"
    (hub.repos[HOSTILE] / "segmentation").mkdir(parents=True)
    config = (hub.repos["pyannote/speaker-diarization-community-1"] / "config.yaml").read_text(encoding="utf-8")
    name = "pyannote.audio.pipelines.SpeakerDiarization"
    (hub.repos[HOSTILE] / "config.yaml").write_text(config.replace(name, "subprocess.Popen"), encoding="utf-8")
    (hub.repos[HOSTILE] / "segmentation" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    hub.start()
    variables = {
        "DIARIZE_MODEL": "pyannote-community-1",
        "HF_ENDPOINT": hub.url,
        "HUGGINGFACE_TOKEN": TOKEN,
        "SERVICE_TOKEN": "",
    }
    try:
        with service(folder, **variables) as address:
            found = Running(address, hub, folder)
            until(lambda: models(found)["pyannote-community-1"]["state"] == "ready")
            yield found
    finally:
        hub.stop()


def sound(seconds: float) -> bytes:
    """A WAV of noise that changes its colour each second."""
    random = np.random.default_rng(7)
    samples = random.standard_normal(int(seconds * RATE)) * 0.1
    for start in range(0, samples.size, RATE):
        samples[start : start + RATE] = np.convolve(samples[start : start + RATE], random.random(40), "same")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def form(data: bytes, **fields: object) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'
    return b"".join([*parts, head.encode(), data, f"\r\n--{BOUNDARY}--\r\n".encode()])


def post(running: Running, data: bytes, query: str = "", **fields: object) -> tuple[int, str]:
    request = urllib.request.Request(
        f"{running.address}/api/diarization/process{query}",
        form(data, **fields),
        {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    return read(request)


def read(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=240) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def diarized(running: Running, data: bytes, **fields: object) -> dict[str, Any]:
    status, text = post(running, data, **fields)
    assert status == 200, text
    body: dict[str, Any] = json.loads(text)
    return body


class Stream:
    """The events of a request, as they come."""

    def __init__(self, running: Running, data: bytes, **fields: object) -> None:
        where = urllib.parse.urlsplit(running.address)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=240)
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        self._connection.request("POST", "/api/diarization/process?stream=true", form(data, **fields), headers)
        self._answer = self._connection.getresponse()

    def events(self) -> Iterator[tuple[str, Any]]:
        name = ""
        for line in self._answer:
            text = line.decode().strip()
            if text.startswith("event: "):
                name = text.removeprefix("event: ")
            elif text.startswith("data: ") and text != "data: [DONE]":
                yield name, json.loads(text.removeprefix("data: "))

    def until_working(self) -> None:
        """Wait until the pipeline itself has begun."""
        for name, event in self.events():
            assert name == "progress", event
            if event["progress"] > 0.06:
                return
        raise AssertionError("it ended before it worked")

    def leave(self) -> None:
        self._answer.close()
        self._connection.close()


def models(running: Running) -> dict[str, dict[str, Any]]:
    _status, text = read(urllib.request.Request(f"{running.address}/api/models"))
    return {model["key"]: model for model in json.loads(text)["models"]}


def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def pipeline_process(running: Running) -> psutil.Process:
    """The process that holds the pipeline."""
    mine = [
        process
        for process in psutil.Process().children(recursive=True)
        if "diarize.engines.pyannote.host" in " ".join(process.cmdline())
    ]
    assert len(mine) == 1
    return mine[0]


def load(running: Running, key: str) -> tuple[int, str]:
    address = f"{running.address}/api/models/{urllib.parse.quote(key, safe='/')}/load"
    return read(urllib.request.Request(address, b"", method="POST"))


def test_turns_come_from_a_pipeline_that_the_hub_gave(running: Running) -> None:
    body = diarized(running, sound(14))
    assert (body["engine"], body["model"], body["duration"]) == ("pyannote", "pyannote-community-1", 14.0)
    assert body["segments"]
    alone = sorted(body["exclusive"], key=lambda turn: turn["start"])
    assert all(before["end"] <= after["start"] for before, after in pairwise(alone))
    assert all(0 <= turn["start"] < turn["end"] <= 14 for turn in (*body["segments"], *alone))
    assert body["segments"][0]["speaker"] == "SPEAKER_00"
    assert f"Bearer {TOKEN}" in running.hub.tokens
    assert not list(running.folder.glob("frigo-*.f32"))


@pytest.mark.parametrize(("fields", "least", "most"), [({"num_speakers": 2}, 2, 2), ({"max_speakers": 1}, 1, 1)])
def test_the_count_that_is_asked_is_kept(running: Running, fields: dict[str, int], least: int, most: int) -> None:
    assert least <= len(diarized(running, sound(12), **fields)["speakers"]) <= most


def test_rttm(running: Running) -> None:
    status, text = post(running, sound(11), "?format=rttm")
    assert status == 200
    assert all(line.startswith("SPEAKER x 1 ") for line in text.splitlines())
    assert text.splitlines()


def test_progress_then_the_result(running: Running) -> None:
    events = list(Stream(running, sound(14)).events())
    assert [name for name, _event in events] == ["progress"] * (len(events) - 1) + ["result"]
    shares = [event["progress"] for _name, event in events[:-1]]
    assert shares == sorted(shares)
    assert len(set(shares)) > 5
    assert 0 <= shares[0] < 0.1 < 0.9 < shares[-1] <= 1


def test_a_short_recording_does_not_wait_for_a_long_one(running: Running) -> None:
    long, enough = Stream(running, sound(1200)), threading.Event()
    ended: list[str] = []

    def watch() -> None:
        for name, _event in long.events():
            if name != "progress":
                ended.append(name)
            if enough.is_set():
                break
        long.leave()

    long.until_working()
    watching = threading.Thread(target=watch)
    watching.start()
    try:
        assert diarized(running, sound(11))["segments"]
        assert ended == []
    finally:
        enough.set()
        watching.join(60)


def test_the_work_of_a_client_who_left_stops(running: Running) -> None:
    stream = Stream(running, sound(1200))
    stream.until_working()
    process = pipeline_process(running)
    stream.leave()

    def quiet() -> bool:
        before = process.cpu_times().user
        time.sleep(1.0)  # what it does in a second
        return process.cpu_times().user - before < 0.1

    until(quiet, 15)
    assert not list(running.folder.glob("frigo-*.f32"))


def test_a_killed_pipeline_ends_its_requests_with_an_error_and_is_loaded_again(running: Running) -> None:
    stream = Stream(running, sound(600))
    stream.until_working()
    killed = pipeline_process(running)
    killed.kill()
    name, event = list(stream.events())[-1]
    assert (name, event["error"]["code"]) == ("error", "engine_died")
    until(lambda: models(running)["pyannote-community-1"]["state"] == "ready")
    assert pipeline_process(running).pid != killed.pid
    assert diarized(running, sound(11))["segments"]
    assert not list(running.folder.glob("frigo-*.f32"))


def test_terms_to_accept_are_told_by_their_page_then_3_1_is_fetched_from_three_repositories(running: Running) -> None:
    running.hub.faults = [Fault(f"/{SEGMENTATION}/resolve/", 403, "GatedRepo")]
    load(running, "pyannote-3.1")
    until(lambda: models(running)["pyannote-3.1"]["state"] == "error")
    said = models(running)["pyannote-3.1"]["error"]
    assert f"{running.hub.url}/{SEGMENTATION}" in json.dumps(said)
    assert answers(f"{running.address}/ready")  # what served goes on
    running.hub.faults = []
    load(running, "pyannote-3.1")
    until(lambda: models(running)["pyannote-3.1"]["state"] == "ready")
    body = diarized(running, sound(12), model="pyannote-3.1", num_speakers=2)
    assert body["model"] == "pyannote-3.1"
    assert len(body["speakers"]) == 2


def test_a_hostile_config_is_refused_by_the_name_that_it_gives(running: Running) -> None:
    status, text = load(running, HOSTILE)
    if status < 400:
        until(lambda: models(running)[HOSTILE]["state"] == "error")
        text = json.dumps(models(running)[HOSTILE]["error"], ensure_ascii=False)
    assert "subprocess.Popen n'est pas SpeakerDiarization" in text
    assert not running.hub.ranges_of("hostile/resolve/main/segmentation/pytorch_model.bin")
