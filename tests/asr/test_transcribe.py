"""POST /api/audio/transcribe."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from asr.engines.base import Capabilities
from common.audio.decode import AudioReader
from tests.asr.speaking import OneEngine, Speaking, sample, speaking_app
from tests.common.audio_files import encoded, silent_film, tone, wav_bytes

CONTRACT = {"text", "language", "languages", "target", "duration", "segments", "words", "speech", "engine", "model"}
CONTRACT |= {"warnings"}
JFK = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"


def post(
    client: FlaskClient, data: bytes | None, query: str = "", name: str = "reunion.wav", **fields: Any
) -> TestResponse:
    headers = fields.pop("headers", {})
    form = {**fields, **({"file": (io.BytesIO(data), name)} if data is not None else {})}
    return client.post(f"/api/audio/transcribe{query}", data=form, headers=headers)


def test_english_is_transcribed_with_word_times(client: FlaskClient, jfk: bytes) -> None:
    answer = post(client, jfk, name="jfk.flac", language="en")
    assert answer.status_code == 200
    body = answer.json
    assert set(body) == CONTRACT
    assert jiwer.wer(JFK, body["text"].lower()) <= 0.5
    assert (body["language"], body["engine"], body["model"]) == ("en", "pocketsphinx", "pocketsphinx")
    assert body["duration"] == pytest.approx(11.0, abs=0.1)
    assert " ".join(word["word"] for word in body["words"]) == body["text"]
    assert " ".join(segment["text"] for segment in body["segments"]) == body["text"]
    times = [time for word in body["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert 0 <= times[0] < 1.5
    assert 9.0 < times[-1] <= 11.0
    country = body["words"][-1]
    assert country["word"] == "country"
    assert country["start"] == pytest.approx(9.95, abs=0.4)
    assert all(0.0 <= word["confidence"] <= 1.0 for word in body["words"])
    assert body["speech"]["voiced_seconds"] + body["speech"]["dropped_seconds"] <= 11.1
    assert body["speech"]["voiced_seconds"] > 6.0
    assert (body["languages"], body["target"]) == (["en"], None)


def test_the_demonstration_engine_says_that_it_is_one(client: FlaskClient) -> None:
    quiet = wav_bytes(np.zeros(16_000, np.float32))
    french = post(client, quiet).json["warnings"]
    english = post(client, quiet, headers={"Accept-Language": "en"}).json["warnings"]
    assert len(french) == len(english) == 1
    assert "démonstration" in french[0]
    assert "canary-1b-v2" in french[0]
    assert "canary-1b-v2" in english[0]


@pytest.mark.parametrize("language", ["fr", "fr-FR", "FR"])
def test_another_language_goes_through_with_a_warning_that_names_better_models(
    client: FlaskClient, language: str
) -> None:
    body = post(client, wav_bytes(tone(1.0)), language=language).json
    assert body["language"] == "en"
    warning = body["warnings"][0]
    assert "cette langue : français" in warning
    for model in ("canary-1b-v2", "canary-180m-flash", "parakeet-tdt-0.6b-v3"):
        assert model in warning


def test_a_language_no_model_knows_says_so(client: FlaskClient) -> None:
    assert "Aucun modèle" in post(client, wav_bytes(tone(1.0)), language="zu").json["warnings"][0]


def test_french_speech_is_transcribed_all_the_same(client: FlaskClient, shared_data: Path) -> None:
    samples = AudioReader(shared_data / "speech" / "fr-two-speakers" / "fr_two_speakers.wav").read()
    body = post(client, wav_bytes(samples[: 16_000 * 2]), language="fr").json
    assert len(body["words"]) > 2
    assert len(body["warnings"]) == 2


@pytest.mark.parametrize(
    "samples", [np.zeros(48_000, np.float32), np.full(48_000, 0.5, np.float32), tone(0.1), tone(3.0)]
)
def test_silence_an_offset_and_a_whistle_give_an_empty_text(client: FlaskClient, samples: np.ndarray) -> None:
    body = post(client, wav_bytes(samples)).json
    assert (body["text"], body["words"], body["segments"]) == ("", [], [])
    assert body["duration"] == pytest.approx(samples.size / 16_000, abs=0.01)


def test_full_scale_noise_called_silence_gives_an_empty_text(client: FlaskClient, shared_data: Path) -> None:
    assert post(client, (shared_data / "speech" / "ami" / "empty.wav").read_bytes()).json["text"] == ""


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (None, 400, "missing_file"),
        (b"", 400, "empty_file"),
        (b"%PDF-1.7 ceci est une facture " * 300, 400, "invalid_audio"),
        (wav_bytes(np.zeros(0, np.float32)), 400, "empty_audio"),
        (silent_film(), 400, "no_audio_track"),
    ],
)
@pytest.mark.parametrize("query", ["", "?stream=true"])
def test_what_is_not_a_recording_is_refused_by_name(
    client: FlaskClient, data: bytes | None, status: int, code: str, query: str
) -> None:
    answer = post(client, data, query)
    assert answer.status_code == status
    error = answer.json["error"]
    assert (error["code"], error["param"], error["type"]) == (code, "file", "invalid_request_error")
    assert "Traceback" not in answer.text


def test_a_truncated_mp3_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    client, _registry = scripted(tmp_path)
    sound = AudioReader(io.BytesIO(sample(0.5, 7.0)), rate=44_100).read()
    whole = encoded(sound, "mp3", "libmp3lame", rate=44_100)
    body = post(client, whole[: len(whole) // 2], name="coupe.mp3").json
    assert 2.5 < body["duration"] < 4.0
    assert body["text"]
    assert any("tronqué" in warning for warning in body["warnings"])


@pytest.mark.usefixtures("engines")  # none is installed, whatever this machine has
@pytest.mark.parametrize(
    ("fields", "code", "param", "status"),
    [
        ({"language": "klingon"}, "invalid_language", "language", 400),
        ({"language": "xx"}, "invalid_language", "language", 400),
        ({"model": "gpt-9"}, "model_not_found", "model", 404),
        ({"model": "canary-1b-v2"}, "engine_not_installed", "model", 501),
    ],
)
def test_wrong_fields_are_refused_by_name(
    client: FlaskClient, fields: dict[str, str], code: str, param: str, status: int
) -> None:
    answer = post(client, wav_bytes(tone(0.5)), **fields)
    assert answer.status_code == status
    assert (answer.json["error"]["code"], answer.json["error"]["param"]) == (code, param)


def test_an_upload_over_the_limit_is_refused(client: FlaskClient) -> None:
    answer = post(client, bytes(9 * 1024 * 1024))
    assert answer.status_code == 413
    assert answer.json["error"]["code"] == "upload_too_large"
    assert "MAX_UPLOAD_MB" in answer.json["error"]["message"]


def events_of(answer: TestResponse) -> list[tuple[str, dict[str, Any]]]:
    blocks = [block.split("\n") for block in answer.text.strip().split("\n\n") if not block.startswith(":")]
    return [(block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks]


@pytest.mark.parametrize("how", ["query", "header"])
def test_progress_is_streamed_then_the_result(tmp_path: Path, how: str) -> None:
    client, _registry = scripted(tmp_path, max_chunk_seconds=5.0)
    speech = sample(0.5, 18.0)
    if how == "query":
        answer = post(client, speech, "?stream=true")
    else:
        answer = post(client, speech, headers={"Accept": "text/event-stream"})
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    events = events_of(answer)
    names = [name for name, _data in events]
    assert names[-1] == "result"
    assert set(names) == {"progress", "partial", "result"}
    shares = [data["progress"] for name, data in events if name == "progress"]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert len(shares) >= 4
    last = [data for name, data in events if name == "progress"][-1]
    assert last["rate"] > 0
    assert last["seconds_total"] == pytest.approx(17.5)
    result = events[-1][1]
    assert result["text"].endswith("lundi .")
    assert result["duration"] == pytest.approx(17.5)
    partials = [data for name, data in events if name == "partial"]
    assert [word for data in partials for word in data["words"]] == result["words"]
    through = [data["through"] for data in partials]
    assert through == sorted(through)


def test_a_recording_over_the_length_bound_is_refused_before_the_stream_begins(client: FlaskClient) -> None:
    long = encoded(np.zeros(8_000 * 200, np.float32), "flac", "flac", rate=8_000)
    assert len(long) < 100_000
    for query in ("", "?stream=true"):
        answer = post(client, long, query)
        assert (answer.status_code, answer.json["error"]["code"]) == (413, "audio_too_long")


CANARY = Capabilities(frozenset({"en", "fr"}), translations=frozenset({("fr", "en")}), prompt=True, temperature=True)


def scripted(folder: Path, **options: Any) -> tuple[FlaskClient, OneEngine]:
    app, registry = speaking_app(Speaking(CANARY, **options), folder)
    return app.test_client(), registry


def test_every_field_reaches_the_model(tmp_path: Path) -> None:
    client, registry = scripted(tmp_path)
    fields = {"task": "translate", "target": "en", "language": "fr", "prompt": "DINUM", "temperature": "0.2"}
    body = post(client, sample(0.5, 7.0), **fields).json
    (task,) = registry.engine.tasks
    assert (task.language, task.target, task.prompt, task.temperature) == ("fr", "en", "DINUM", 0.2)
    assert body["target"] == "en"


def test_the_work_can_be_taken_up_where_it_was_left(tmp_path: Path) -> None:
    client, registry = scripted(tmp_path, max_chunk_seconds=5.0)
    whole = post(client, sample(0.5, 18.0), language="fr").json
    partials = [
        data
        for name, data in events_of(post(client, sample(0.5, 18.0), "?stream=true", language="fr"))
        if name == "partial"
    ]
    through = partials[0]["through"]
    registry.engine.chunks.clear()
    rest = post(client, sample(0.5, 18.0), language="fr", start=str(through)).json
    assert [*partials[0]["words"], *rest["words"]] == whole["words"]
    assert registry.engine.chunks[0].end > through


def test_the_threshold_decides_what_is_speech(tmp_path: Path) -> None:
    client, _registry = scripted(tmp_path)
    bold, careful = (
        post(client, sample(0.5, 18.0), language="fr", vad_threshold=value).json["speech"]["voiced_seconds"]
        for value in ("0.05", "0.95")
    )
    assert bold > careful > 0


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"task": "summarise"}, "invalid_value", "task"),
        ({"target": "en"}, "invalid_value", "target"),
        ({"task": "translate", "target": "klingon"}, "invalid_language", "target"),
        ({"task": "translate", "target": "de", "language": "fr"}, "unsupported_translation", "target"),
        ({"temperature": "1.5"}, "invalid_value", "temperature"),
        ({"vad_threshold": "1"}, "invalid_value", "vad_threshold"),
        ({"start": "-1"}, "invalid_value", "start"),
        ({"start": "Infinity"}, "invalid_value", "start"),
        ({"language": "es"}, "unsupported_language", "language"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, fields: dict[str, str], code: str, param: str) -> None:
    client, registry = scripted(tmp_path)
    answer = post(client, wav_bytes(tone(1.0)), **fields)
    assert (answer.status_code, answer.json["error"]["code"], answer.json["error"]["param"]) == (400, code, param)
    assert registry.users == 0


def test_speech_in_which_nothing_was_found_is_told(tmp_path: Path) -> None:
    client, _registry = scripted(tmp_path, text="")
    body = post(client, sample(0.5, 7.0), language="fr").json
    assert body["text"] == ""
    spans = body["speech"]["undecoded"]
    assert spans
    assert all(0 <= span["start"] < span["end"] <= 6.6 for span in spans)
    assert body["warnings"]


def test_the_documentation_of_the_endpoint_is_whole(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    form = document["components"]["schemas"]["TranscribeForm"]["properties"]
    assert set(form) == {
        *("file", "language", "model", "prompt", "temperature", "task", "target", "vad_threshold", "start")
    }
    assert form["task"]["enum"] == ["transcribe", "translate"]
    assert all(field["description"] for field in form.values())
    content = document["paths"]["/api/audio/transcribe"]["post"]["responses"]["200"]["content"]
    assert set(content["application/json"]["schema"]["properties"]) == CONTRACT
    assert len(content["text/event-stream"]["schema"]["oneOf"]) == 3
