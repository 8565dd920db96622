"""Known voices: enrolled from a sample, found again by name, forgotten for good."""

from __future__ import annotations

import base64
import io
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from flask_openapi import OpenAPI

from common.audio.decode import AudioReader, FloatArray
from common.errors import ApiError
from diarize import voices as module
from diarize.voices import Known, VoiceStore, clean_name, recognised
from tests.common.audio_files import tone, wav_bytes

VOICES = "/api/diarization/voices"
SAMPLE = Path(__file__).resolve().parents[2] / "app" / "sample" / "reunion-exemple.ogg"
JULIA, DAVID = (1.0, 7.0), (8.2, 18.0)
"""When each of the two (synthetic) voices of the sample speaks alone, in seconds."""


@pytest.fixture(scope="session")
def sound() -> FloatArray:
    return AudioReader(SAMPLE).read()


def cut(sound: FloatArray, *spans: tuple[float, float]) -> bytes:
    return wav_bytes(np.concatenate([sound[round(a * 16_000) : round(b * 16_000)] for a, b in spans]))


@pytest.fixture
def client(diarize_app: OpenAPI) -> Iterator[FlaskClient]:
    client = diarize_app.test_client()
    yield client
    for voice in client.get(VOICES).json["data"]:
        assert client.delete(f"{VOICES}/{voice['id']}").status_code == 204


def enrol(client: FlaskClient, name: str, data: bytes | None) -> Any:
    form: dict[str, Any] = {"name": name} | ({"file": (io.BytesIO(data), "voix.wav")} if data is not None else {})
    return client.post(VOICES, data=form)


def process(client: FlaskClient, data: bytes, query: str = "", **fields: Any) -> Any:
    form = {"file": (io.BytesIO(data), "reunion.wav"), "num_speakers": 2, **fields}
    return client.post(f"/api/diarization/process{query}", data=form)


def names(answer: Any) -> dict[str, str | None]:
    return {speaker["id"]: speaker.get("name") for speaker in answer.json["speakers"]}


@pytest.fixture(scope="session")
def meeting(sound: FloatArray) -> bytes:
    """Julia, David, then Julia again, none of it what the samples hold."""
    return cut(sound, (19.2, 27.0), (28.0, 35.8), (36.8, 41.9))


def test_a_voice_is_enrolled_found_again_and_forgotten(
    client: FlaskClient, diarize_app: OpenAPI, sound: FloatArray, meeting: bytes
) -> None:
    answer = enrol(client, "  David   Roche ", cut(sound, DAVID))
    assert answer.status_code == 201, answer.json
    voice = answer.json
    assert set(voice) == {"id", "name", "seconds", "model", "created"}
    assert (voice["name"], voice["model"]) == ("David Roche", "resemblyzer")
    assert 5.0 < voice["seconds"] <= 9.8
    assert client.get(VOICES).json["data"] == [voice]

    found = process(client, meeting)
    assert names(found) == {"SPEAKER_00": None, "SPEAKER_01": "David Roche"}
    assert found.json["speakers"][1]["similarity"] > 0.8
    assert {turn["speaker"] for turn in found.json["exclusive"]} == {"SPEAKER_00", "SPEAKER_01"}, "ids stay ids"
    lines = process(client, meeting, "?format=rttm").text.splitlines()
    assert {line.split()[7] for line in lines} == {"SPEAKER_00", "David_Roche"}
    assert names(process(client, meeting, identify="false")) == {"SPEAKER_00": None, "SPEAKER_01": None}

    assert client.delete(f"{VOICES}/{voice['id']}").status_code == 204
    assert client.get(VOICES).json["data"] == []
    assert names(process(client, meeting)) == {"SPEAKER_00": None, "SPEAKER_01": None}
    missing = client.delete(f"{VOICES}/{voice['id']}")
    assert (missing.status_code, missing.json["error"]["code"]) == (404, "voice_not_found")


def test_a_stranger_is_not_given_a_known_name(client: FlaskClient, sound: FloatArray) -> None:
    assert enrol(client, "Julia", cut(sound, JULIA)).status_code == 201
    alone = process(client, cut(sound, (28.0, 35.8)), num_speakers=1)
    assert names(alone) == {"SPEAKER_00": None}


def test_references_name_the_speakers_of_one_request_only(
    client: FlaskClient, sound: FloatArray, meeting: bytes
) -> None:
    def url(span: tuple[float, float]) -> str:
        return "data:audio/wav;base64," + base64.b64encode(cut(sound, span)).decode()

    fields = {
        "known_speaker_names[]": ["Julia", "David"],
        "known_speaker_references[]": [url((1.0, 4.0)), url((8.2, 12.0))],
        "identify": "false",
    }
    assert names(process(client, meeting, **fields)) == {"SPEAKER_00": "Julia", "SPEAKER_01": "David"}
    bare = {key.removesuffix("[]"): value for key, value in fields.items()}
    assert names(process(client, meeting, **bare)) == {"SPEAKER_00": "Julia", "SPEAKER_01": "David"}
    assert client.get(VOICES).json["data"] == [], "nothing is kept"


@pytest.mark.parametrize(
    ("names_given", "samples", "code", "param"),
    [
        (["A"], [], "invalid_value", "known_speaker_references"),
        (["A"], ["https://example.org/a.wav"], "invalid_value", "known_speaker_references"),
        (["A"], ["data:audio/wav;base64,@@@"], "invalid_value", "known_speaker_references"),
        (["A"], ["data:text/plain,bonjour"], "invalid_audio", "known_speaker_references"),
        ([" "], ["data:audio/wav;base64,AAAA"], "invalid_value", "known_speaker_names"),
        (["A"] * 11, ["data:audio/wav;base64,AAAA"] * 11, "invalid_value", "known_speaker_names"),
    ],
)
def test_wrong_references_are_refused_by_name(
    client: FlaskClient, meeting: bytes, names_given: list[str], samples: list[str], code: str, param: str
) -> None:
    fields = {"known_speaker_names[]": names_given, "known_speaker_references[]": samples}
    answer = process(client, meeting, **fields)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, code)
    assert answer.json["error"]["param"] == param


def test_samples_that_cannot_serve_are_refused_with_the_remedy(client: FlaskClient, sound: FloatArray) -> None:
    refused = {
        "missing_file": None,
        "invalid_audio": b"PK\x03\x04 un classeur " * 400,
        "sample_too_short": cut(sound, (1.0, 3.0)),
        "sample_too_long": wav_bytes(np.tile(sound[16_000:112_000], 11)),
        "too_little_speech": wav_bytes(tone(5.0)),
        "several_voices": cut(sound, (1.0, 7.0), (8.2, 15.0)),
    }
    for code, data in refused.items():
        answer = enrol(client, "Quelqu'un", data)
        assert (answer.status_code, answer.json["error"]["code"]) == (400, code), code
        assert answer.json["error"]["param"] == "file"
    assert "une seule personne" in enrol(client, "A", refused["several_voices"]).json["error"]["message"]
    assert client.get(VOICES).json["data"] == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b", "a\u202eb"])
def test_a_name_that_cannot_be_shown_is_refused(client: FlaskClient, sound: FloatArray, name: str) -> None:
    answer = enrol(client, name, cut(sound, JULIA))
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "name")


def vector(*numbers: float) -> FloatArray:
    return np.asarray(numbers, np.float32)


def test_each_name_and_each_speaker_is_taken_once_for_the_best_whole() -> None:
    found = {"A": vector(1.0, 0.0), "B": vector(0.96, 0.28)}
    known = [Known("Léa", vector(0.99, 0.141)), Known("Marc", vector(0.7, 0.714))]
    # Both are nearest to Léa; B is near enough to Marc for the two names to be given.
    assert {key: match.name for key, match in recognised(found, known, 0.8).items()} == {"A": "Léa", "B": "Marc"}
    assert list(recognised(found, known, 0.99)) == ["A"] or list(recognised(found, known, 0.99)) == ["B"]
    assert recognised(found, known, 0.9999) == {}
    assert recognised({}, known, 0.5) == recognised(found, [], 0.5) == {}


def test_a_person_with_two_samples_is_as_near_as_the_nearest() -> None:
    known = [Known("Léa", vector(0.0, 1.0), "far"), Known("Léa", vector(1.0, 0.0), "near")]
    match = recognised({"A": vector(1.0, 0.0)}, known, 0.8)["A"]
    assert (match.name, match.similarity, match.id) == ("Léa", 1.0, "near")


def test_vectors_of_another_size_are_nobody() -> None:
    assert recognised({"A": vector(1.0, 0.0)}, [Known("Léa", vector(1.0, 0.0, 0.0))], 0.0) == {}


@pytest.fixture
def store(tmp_path: Path) -> VoiceStore:
    return VoiceStore(tmp_path / "voices.json")


def test_the_file_is_the_service_s_alone_and_holds_no_sound(store: VoiceStore, tmp_path: Path) -> None:
    kept = store.add(name="Léa", seconds=4.0, model="m", space="s", vector=vector(0.6, 0.8))
    path = tmp_path / "voices.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(json.loads(path.read_text())["voices"][0]) == {
        "id", "name", "seconds", "model", "created", "space", "vector",
    }  # fmt: skip
    (again,) = VoiceStore(path).all()
    assert (again.id, again.name, again.vector.tolist()) == (kept.id, "Léa", kept.vector.tolist())


def test_a_write_that_fails_leaves_the_voices_as_they_were(store: VoiceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(name="Léa", seconds=4.0, model="m", space="s", vector=vector(1.0))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            store.add(name="Marc", seconds=4.0, model="m", space="s", vector=vector(1.0))
    assert [voice.name for voice in store.all()] == ["Léa"]
    store.add(name="Marc", seconds=4.0, model="m", space="s", vector=vector(1.0))
    assert [voice.name for voice in store.all()] == ["Léa", "Marc"]


def test_a_spoilt_file_is_said_and_not_overwritten(store: VoiceStore, tmp_path: Path) -> None:
    path = tmp_path / "voices.json"
    path.write_text('{"voices": [{"id": 1}]}')
    with pytest.raises(ApiError) as caught:
        store.add(name="Léa", seconds=4.0, model="m", space="s", vector=vector(1.0))
    assert caught.value.code == "voices_unreadable"
    assert path.read_text() == '{"voices": [{"id": 1}]}'


def test_there_is_a_limit(store: VoiceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_VOICES", 1)
    store.add(name="Léa", seconds=4.0, model="m", space="s", vector=vector(1.0))
    with pytest.raises(ApiError) as caught:
        store.add(name="Marc", seconds=4.0, model="m", space="s", vector=vector(1.0))
    assert (caught.value.status, caught.value.code) == (409, "too_many_voices")


def test_names_are_kept_on_one_line() -> None:
    assert clean_name(" Léa\t Martin\n") == "Léa Martin"
