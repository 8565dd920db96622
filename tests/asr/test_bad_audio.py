"""Recordings as people send them, through HTTP: broken, mislabelled, too short, too long. Nothing hangs or leaks."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from asr.engines.base import Capabilities
from common.audio.decode import AudioReader
from tests.asr.speaking import OneEngine, Speaking, sample, speaking_app
from tests.common.audio_files import LongSilence, encoded, silent_film, tone, wav_bytes

SPEAKS = Capabilities(languages=frozenset({"en", "fr"}), detects_language=True)
CONTAINERS = {
    "wav": ("wav", "pcm_s16le", 16_000),
    "mp3": ("mp3", "libmp3lame", 44_100),
    "opus": ("ogg", "libopus", 48_000),
    "flac": ("flac", "flac", 44_100),
    "m4a": ("ipod", "aac", 44_100),
    "webm": ("webm", "libopus", 48_000),
    "mp4": ("mp4", "aac", 48_000),
    "mkv": ("matroska", "aac", 48_000),
    "aac": ("adts", "aac", 44_100),
}
PATHS = ["/api/audio/transcribe", "/v1/audio/transcriptions"]


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return AudioReader(io.BytesIO(sample(0.5, 7.0)), rate=48_000).read()


@pytest.fixture
def service(tmp_path: Path) -> tuple[FlaskClient, OneEngine]:
    app, registry = speaking_app(Speaking(SPEAKS), tmp_path)
    return app.test_client(), registry


def post(client: FlaskClient, data: bytes, name: str = "a.wav", path: str = PATHS[0], **fields: Any) -> Any:
    headers = fields.pop("headers", {})
    return client.post(path, data={"file": (io.BytesIO(data), name), **fields}, headers=headers)


def resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    at = np.arange(0, samples.size, 48_000 / rate)
    return np.interp(at, np.arange(samples.size), samples).astype(np.float32)


@pytest.mark.parametrize("kind", sorted(CONTAINERS))
def test_every_container_cut_in_two_is_read_as_far_as_it_goes_or_refused_clearly(
    service: Any, speech: np.ndarray, kind: str
) -> None:
    client, registry = service
    container, codec, rate = CONTAINERS[kind]
    whole = encoded(resampled(speech, rate), container, codec, rate=rate, video=kind == "mp4")
    good = post(client, whole, f"a.{kind}")
    assert good.status_code == 200
    assert good.json["text"]
    assert good.json["duration"] == pytest.approx(6.5, abs=0.15)
    cut = post(client, whole[: len(whole) // 2], f"a.{kind}")
    if kind in ("m4a", "mp4"):  # their index comes last
        assert (cut.status_code, cut.json["error"]["code"]) == (400, "invalid_audio")
    else:
        assert cut.status_code == 200
        assert 2.0 < cut.json["duration"] < 5.0
    if kind != "aac":  # whose first forty bytes are a frame
        assert post(client, whole[:40], f"a.{kind}").json["error"]["code"] in ("invalid_audio", "empty_audio")
    assert registry.users == 0


@pytest.mark.parametrize(
    "name", ["notes.txt", "reunion.mp4", "", "a" * 300 + ".wav", "../../etc/passwd", 'été "1".wav']
)
def test_the_extension_does_not_count(service: Any, speech: np.ndarray, name: str) -> None:
    client, _registry = service
    data = encoded(resampled(speech, 44_100), "flac", "flac", rate=44_100)
    assert post(client, data, name or "x").json["text"]


@pytest.mark.parametrize(
    ("rate", "layout", "codec"),
    [
        (8_000, "mono", "pcm_mulaw"),
        (96_000, "stereo", "pcm_s24le"),
        (48_000, "5.1", "pcm_s16le"),
        (11_025, "mono", "pcm_u8"),
    ],
)
def test_every_rate_and_every_number_of_channels(
    service: Any, speech: np.ndarray, rate: int, layout: str, codec: str
) -> None:
    client, _registry = service
    data = encoded(resampled(speech, rate), "wav", codec, rate=rate, layout=layout)
    body = post(client, data).json
    assert body["text"]
    assert body["duration"] == pytest.approx(6.5, abs=0.05)


@pytest.mark.parametrize("seconds", [0.0001, 0.01, 0.1, 0.3])
def test_a_very_short_recording_is_an_empty_text(service: Any, seconds: float) -> None:
    client, _registry = service
    body = post(client, wav_bytes(tone(seconds))).json
    assert (body["text"], body["segments"], body["speech"]["voiced_seconds"]) == ("", [], 0.0)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda s: np.clip(s * 40, -1, 1), id="clipped"),
        pytest.param(lambda s: np.clip(s + 0.4, -1, 1), id="offset"),
        pytest.param(lambda s: s * 0.003, id="whispered"),
        pytest.param(lambda s: np.concatenate((np.zeros(48_000 * 20), s)), id="late"),
    ],
)
def test_speech_is_still_found(service: Any, speech: np.ndarray, damage: Any) -> None:
    client, _registry = service
    data = wav_bytes(resampled(damage(speech).astype(np.float32), 16_000))
    body = post(client, data).json
    assert body["text"]
    assert body["speech"]["voiced_seconds"] > 3.0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["", "stream"])
@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        pytest.param(b"", 400, "empty_file", id="empty"),
        pytest.param(b"Compte rendu du 3 mars.\n" * 400, 400, "invalid_audio", id="text"),
        pytest.param(b"%PDF-1.7\n" + bytes(range(256)) * 40, 400, "invalid_audio", id="pdf"),
        pytest.param(
            b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", 400, "invalid_audio", id="playlist"
        ),
        pytest.param(wav_bytes(np.zeros(0, np.float32)), 400, "empty_audio", id="no-sample"),
        pytest.param(silent_film(), 400, "no_audio_track", id="film"),
    ],
)
def test_what_is_no_recording_is_refused_by_name_before_any_model(
    service: Any, data: bytes, status: int, code: str, query: str, path: str
) -> None:
    client, registry = service
    address, fields = (
        (f"{path}?stream=true", {}) if query and "api" in path else (path, {"stream": "true"} if query else {})
    )
    answer = post(client, data, path=address, **fields)
    error = answer.json["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, "file")
    assert "Traceback" not in answer.text
    assert "/" not in error["message"]
    assert registry.asked == []


@pytest.mark.parametrize("kind", ["flac", "ogg", "wav"])
@pytest.mark.parametrize("stream", ["", "?stream=true"])
def test_ten_hours_in_a_few_megabytes_are_stopped(service: Any, kind: str, stream: str) -> None:
    client, registry = service
    data = LongSilence.of(kind, {"flac": "flac", "ogg": "libopus", "wav": "pcm_mulaw"}[kind])[: 7 * 1024 * 1024]
    answer = post(client, data, path=f"{PATHS[0]}{stream}")
    if answer.mimetype == "text/event-stream":  # the header says nothing: measured while it is decoded
        assert kind == "flac"
        assert '"code":"audio_too_long"' in answer.text.replace('": "', '":"')
        assert "event: error" in answer.text
        assert "event: result" not in answer.text
    else:
        assert (answer.status_code, answer.json["error"]["code"]) == (413, "audio_too_long")
    assert registry.users == 0
    assert registry.engine.chunks == []


def test_ten_hours_announced_in_one_megabyte_are_thirty_seconds(service: Any) -> None:
    client, _registry = service
    data = bytearray(wav_bytes(tone(30.0)))
    data[4:8] = data[40:44] = (36_000 * 32_000).to_bytes(4, "little")
    body = post(client, bytes(data)).json
    assert body["duration"] == pytest.approx(30.0)


def test_a_truncated_file_says_so_in_both_languages(service: Any, speech: np.ndarray) -> None:
    client, _registry = service
    whole = encoded(resampled(speech, 44_100), "flac", "flac", rate=44_100)
    french = post(client, whole[: len(whole) // 2]).json["warnings"]
    english = post(client, whole[: len(whole) // 2], headers={"Accept-Language": "en"}).json["warnings"]
    assert any("tronqué" in warning for warning in french)
    assert english
    assert not any("tronqué" in warning for warning in english)


@pytest.mark.parametrize("language", ["", "auto", "fr", "fr-CA", "FR", "fr_FR", " fr "])
def test_a_language_in_any_spelling(service: Any, speech: np.ndarray, language: str) -> None:
    client, registry = service
    assert post(client, wav_bytes(resampled(speech, 16_000)), language=language).status_code == 200
    assert registry.engine.tasks[0].language == (None if language in ("", "auto") else "fr")


@pytest.mark.parametrize("language", ["klingon", "xx", "français", "f", "fr;en", "\N{FIRE}" * 50])
@pytest.mark.parametrize("path", PATHS)
def test_a_language_that_is_none(service: Any, language: str, path: str) -> None:
    client, registry = service
    answer = post(client, wav_bytes(tone(1.0)), path=path, language=language)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_language")
    assert answer.json["error"]["param"] == "language"
    assert registry.asked == []


def test_two_languages_in_one_file_are_both_told(tmp_path: Path) -> None:
    heard = iter(["en"])

    class Bilingual(Speaking):
        def transcribe(self, chunks: Any, task: Any) -> Any:
            for result in super().transcribe(chunks, task):
                yield type(result)(result.chunk, result.words, next(heard, "fr"))

    app, _registry = speaking_app(Bilingual(SPEAKS, max_chunk_seconds=6.0), tmp_path)
    body = post(app.test_client(), sample(0.5, 18.0)).json
    assert body["language"] == "fr"
    assert body["languages"] == ["fr", "en"]


def test_a_field_of_two_megabytes_is_refused_for_what_it_is(service: Any) -> None:
    client, _registry = service
    answer = post(client, wav_bytes(tone(0.5)), prompt="x" * 2_000_000)
    error = answer.json["error"]
    assert (answer.status_code, error["code"], error["type"]) == (413, "form_too_large", "invalid_request_error")


def test_many_bad_files_leave_nothing_held(service: Any) -> None:
    client, registry = service
    began = time.monotonic()
    for number in range(30):
        post(client, bytes([number]) * 5000)
    assert registry.users == 0
    assert time.monotonic() - began < 60, "a refusal takes milliseconds; this is a guard against a hang"
