"""POST /api/diarization/process."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from flask_openapi import OpenAPI
from werkzeug.test import TestResponse

from bench.der import Turn, der, read_rttm
from common.audio.decode import AudioReader
from diarize.engines.base import Progress as EngineProgress
from tests.common.audio_files import encoded, silent_film, tone, wav_bytes


def post(
    client: FlaskClient, data: bytes | None, query: str = "", name: str = "reunion.wav", **fields: Any
) -> TestResponse:
    headers = fields.pop("headers", {})
    form = {**fields, **({"file": (io.BytesIO(data), name)} if data is not None else {})}
    return client.post(f"/api/diarization/process{query}", data=form, headers=headers)


def turns(body: dict[str, Any]) -> list[Turn]:
    return [(segment["speaker"], segment["start"], segment["end"]) for segment in body["segments"]]


@pytest.fixture(scope="session")
def two_voices(shared_data: Path) -> tuple[bytes, list[Turn]]:
    folder = shared_data / "speech" / "fr-two-speakers"
    reference = read_rttm(folder / "fr_two_speakers.rttm")["fr_two_speakers"]
    return (folder / "fr_two_speakers.wav").read_bytes(), reference


def test_two_voices_are_told_apart_and_counted(client: FlaskClient, two_voices: tuple[bytes, list[Turn]]) -> None:
    data, reference = two_voices
    body = post(client, data).json
    assert set(body) == {"segments", "exclusive", "speakers", "duration", "engine", "model", "warnings"}
    assert [segment["speaker"] for segment in body["segments"]] == ["SPEAKER_00", "SPEAKER_01"] * 2
    assert [(speaker["id"], speaker["turns"]) for speaker in body["speakers"]] == [("SPEAKER_00", 2), ("SPEAKER_01", 2)]
    assert sum(speaker["share"] for speaker in body["speakers"]) == pytest.approx(1.0, abs=0.001)
    assert {turn["speaker"] for turn in body["exclusive"]} == {"SPEAKER_00", "SPEAKER_01"}
    assert all(a["end"] <= b["start"] + 0.001 for a, b in pairwise(body["exclusive"]))
    for speaker in body["speakers"]:
        spoken = sum(end - start for name, start, end in turns(body) if name == speaker["id"])
        assert speaker["seconds"] == pytest.approx(spoken, abs=0.01)
    assert body["duration"] == pytest.approx(16.53, abs=0.01)
    assert der(reference, turns(body), end=16.53).rate <= 0.08
    assert der(reference, turns(body), end=16.53, collar=0.25).rate <= 0.04


@pytest.mark.parametrize(("name", "bound"), [("dev00", 0.45), ("dev01", 0.30)])
def test_a_real_meeting_with_the_count_given(client: FlaskClient, shared_data: Path, name: str, bound: float) -> None:
    folder = shared_data / "speech" / "ami"
    reference = read_rttm(folder / "debug.development.rttm")[name]
    body = post(client, (folder / f"{name}.wav").read_bytes(), num_speakers=2).json
    assert len(body["speakers"]) == 2
    assert der(reference, turns(body), end=30.0).rate <= bound


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"num_speakers": 1}, 1),
        ({"num_speakers": 3}, 3),
        ({"min_speakers": 3}, 3),
        ({"max_speakers": 1}, 1),
        ({"min_speakers": 1, "max_speakers": 4}, 2),
    ],
)
def test_asked_counts_are_kept(
    client: FlaskClient, two_voices: tuple[bytes, list[Turn]], fields: dict[str, int], count: int
) -> None:
    assert len(post(client, two_voices[0], **fields).json["speakers"]) == count


def test_rttm(client: FlaskClient, two_voices: tuple[bytes, list[Turn]], tmp_path: Path) -> None:
    answer = post(client, two_voices[0], "?format=rttm", name="Comité du 3 mai.wav")
    assert answer.content_type == "text/plain; charset=utf-8"
    (tmp_path / "x.rttm").write_text(answer.text, encoding="utf-8")
    read = read_rttm(tmp_path / "x.rttm")
    assert list(read) == ["Comité_du_3_mai"]
    body = post(client, two_voices[0]).json
    assert read["Comité_du_3_mai"] == [(s, a, pytest.approx(b, abs=0.002)) for s, a, b in turns(body)]


@pytest.mark.parametrize(
    "samples", [np.zeros(48_000, np.float32), np.full(48_000, 0.5, np.float32), tone(0.1), tone(3.0)]
)
def test_silence_an_offset_and_a_whistle_have_no_speaker(client: FlaskClient, samples: np.ndarray) -> None:
    body = post(client, wav_bytes(samples)).json
    assert (body["segments"], body["speakers"]) == ([], [])
    assert post(client, wav_bytes(samples), "?format=rttm").text == ""


def test_full_scale_noise_called_silence_has_no_speaker(client: FlaskClient, shared_data: Path) -> None:
    assert post(client, (shared_data / "speech" / "ami" / "empty.wav").read_bytes()).json["segments"] == []


def test_more_speakers_than_the_sound_can_show_is_said(
    client: FlaskClient, two_voices: tuple[bytes, list[Turn]]
) -> None:
    short = AudioReader(io.BytesIO(two_voices[0])).read()[16_000 : 16_000 * 2]
    body = post(client, wav_bytes(short), num_speakers=6).json
    assert 1 <= len(body["speakers"]) < 6
    assert "attendues" in body["warnings"][0]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "missing_file"),
        (b"", "empty_file"),
        (b"PK\x03\x04 un classeur " * 400, "invalid_audio"),
        (wav_bytes(np.zeros(0, np.float32)), "empty_audio"),
        (silent_film(), "no_audio_track"),
    ],
)
def test_what_is_not_a_recording_is_refused_by_name(client: FlaskClient, data: bytes | None, code: str) -> None:
    for query in ("", "?format=rttm", "?stream=true"):
        error = post(client, data, query).json["error"]
        assert (error["code"], error["param"]) == (code, "file")


def test_a_truncated_mp3_is_used_as_far_as_it_goes(client: FlaskClient, two_voices: tuple[bytes, list[Turn]]) -> None:
    samples = AudioReader(io.BytesIO(two_voices[0]), rate=44_100).read()
    whole = encoded(samples, "mp3", "libmp3lame", rate=44_100)
    body = post(client, whole[: len(whole) // 2], name="coupe.mp3").json
    assert 7.0 < body["duration"] < 9.5
    assert len(body["speakers"]) == 2
    assert "tronqué" in body["warnings"][0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"num_speakers": "0"}, "num_speakers"),
        ({"num_speakers": "-1"}, "num_speakers"),
        ({"num_speakers": "abc"}, "num_speakers"),
        ({"num_speakers": "1000000"}, "num_speakers"),
        ({"min_speakers": "0"}, "min_speakers"),
        ({"max_speakers": "2.5"}, "max_speakers"),
        ({"min_speakers": "4", "max_speakers": "2"}, "min_speakers"),
        ({"num_speakers": "2", "max_speakers": "1"}, "num_speakers"),
    ],
)
def test_wrong_counts_are_refused_by_name(client: FlaskClient, fields: dict[str, str], param: str) -> None:
    answer = post(client, wav_bytes(tone(0.5)), **fields)
    assert answer.status_code == 400
    assert answer.json["error"]["param"] == param


@pytest.mark.usefixtures("engines")  # none is installed, whatever this machine has
def test_wrong_format_and_model(client: FlaskClient) -> None:
    assert post(client, wav_bytes(tone(0.5)), "?format=xml").json["error"]["param"] == "format"
    unknown = post(client, wav_bytes(tone(0.5)), model="whoswho")
    assert (unknown.status_code, unknown.json["error"]["code"]) == (404, "model_not_found")
    absent = post(client, wav_bytes(tone(0.5)), model="pyannote")
    assert (absent.status_code, absent.json["error"]["code"]) == (501, "engine_not_installed")


def test_an_upload_over_the_limit_is_refused(client: FlaskClient) -> None:
    answer = post(client, bytes(9 * 1024 * 1024))
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "upload_too_large")


def test_a_recording_over_the_length_bound_is_stopped_while_decoding(client: FlaskClient) -> None:
    long = encoded(np.zeros(8_000 * 200, np.float32), "flac", "flac", rate=8_000)
    answer = post(client, long)
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "audio_too_long")


def test_progress_is_streamed_then_the_same_result(client: FlaskClient, two_voices: tuple[bytes, list[Turn]]) -> None:
    answer = post(client, two_voices[0], "?stream=true")
    assert answer.mimetype == "text/event-stream"
    blocks = [block.split("\n") for block in answer.text.strip().split("\n\n") if not block.startswith(":")]
    events = [(block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks]
    assert [name for name, _data in events] == ["progress"] * (len(events) - 1) + ["result"]
    shares = [data["progress"] for _name, data in events[:-1]]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    last = events[-2][1]
    assert (last["seconds_done"], last["seconds_total"]) == (16.53, 16.53)
    assert all(data.get("rate", 1.0) > 0 for _name, data in events[:-1])
    assert events[-1][1] == post(client, two_voices[0]).json


def test_nobody_works_for_a_client_that_has_left(
    diarize_app: OpenAPI, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is closed at its first step after the client hung up, not at the end of the recording."""
    registry = diarize_app.extensions["frigo.models"]
    with registry.use() as lease:
        engine = lease.engine
    begun, closed, go_on = threading.Event(), threading.Event(), threading.Event()

    def slow(_audio: object, _speakers: object) -> Iterator[EngineProgress]:
        try:
            while True:
                yield EngineProgress(0.1)
                begun.set()
                go_on.wait(0.05)
        finally:
            closed.set()

    monkeypatch.setattr(engine, "process", slow)
    host, port = serve(diarize_app).removeprefix("http://").split(":")
    data, tail = wav_bytes(tone(3.0)), b"\r\n--B--\r\n"
    part = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    head = (
        "POST /api/diarization/process HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        f"Content-Length: {len(data) + len(part) + len(tail)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(head.encode() + part + data + tail)
        assert begun.wait(60)
        assert not closed.is_set()
    assert closed.wait(60)
