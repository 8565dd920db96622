"""diarized_json: asr asks diarize over HTTP, beside the transcription, and joins the two."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from openai.types.audio import TranscriptionDiarized

from asr.diarized import KnownSpeaker, joined
from asr.engines.base import Capabilities, Word
from common.errors import ApiError
from common.speech.words import Turn
from common.web.factory import render
from common.web.leaving import client_gone
from common.web.sse import sse
from tests.asr.speaking import OneEngine, Speaking, sample, speaking_app
from tests.common.audio_files import tone, wav_bytes

FRENCH = Capabilities(languages=frozenset({"fr"}), punctuates=True)
Serve = Callable[..., str]


class FakeDiarize:
    """diarize's endpoint: keeps what it was sent, answers what it is told, and knows whether its reader left."""

    def __init__(self) -> None:
        self.app = Flask(__name__)
        self.fields: dict[str, list[str]] = {}
        self.file = b""
        self.answer: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None
        self.refusal: ApiError | None = None
        self.holds = False
        self.came = threading.Event()
        self.failed = threading.Event()
        self.left = threading.Event()
        self.app.add_url_rule("/api/diarization/process", view_func=self.process, methods=["POST"])
        self.app.register_error_handler(ApiError, render)

    def process(self) -> Response:
        request.max_form_memory_size = 16 * 1024 * 1024
        self.fields = {name: request.form.getlist(name) for name in request.form}
        self.file = request.files["file"].read()
        self.came.set()
        if self.refusal:
            raise self.refusal
        return sse(self.events(client_gone(request.environ)))

    def events(self, gone: Callable[[], bool]) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            for number in range(200):  # more than a socket that nobody reads would hold, were they bigger
                yield "progress", {"progress": number / 200, "filling": "x" * 4000}
        except GeneratorExit:
            self.left.set()
            raise
        if self.holds:
            deadline = time.monotonic() + 20
            while not gone():
                assert time.monotonic() < deadline, "nobody let it go"
                time.sleep(0.02)
            self.left.set()
            return
        if self.error:
            yield "error", {"error": self.error}
            self.failed.set()
        else:
            yield "result", self.answer


@pytest.fixture
def diarize() -> FakeDiarize:
    fake = FakeDiarize()
    fake.answer = {
        "segments": [{"speaker": "SPEAKER_00", "start": 0.0, "end": 99.0}],
        "exclusive": [
            {"speaker": "SPEAKER_00", "start": 0.0, "end": 7.0},
            {"speaker": "SPEAKER_01", "start": 7.0, "end": 18.0},
        ],
        "speakers": [{"id": "SPEAKER_00", "seconds": 7.0}, {"id": "SPEAKER_01", "seconds": 11.0}],
    }
    return fake


@pytest.fixture(scope="module")
def speech() -> bytes:
    return sample(0.0, 18.5)


@pytest.fixture
def asr(serve: Serve, tmp_path: Path, diarize: FakeDiarize) -> tuple[FlaskClient, OneEngine]:
    app, registry = speaking_app(Speaking(FRENCH, max_chunk_seconds=8.0), tmp_path, serve(diarize.app))
    return app.test_client(), registry


def post(client: FlaskClient, data: bytes, **fields: Any) -> Any:
    form = {"file": (io.BytesIO(data), "réunion.wav"), "response_format": "diarized_json", **fields}
    return client.post("/v1/audio/transcriptions", data=form)


def data_url(data: bytes) -> str:
    return "data:audio/wav;base64," + base64.b64encode(data).decode()


def test_words_go_to_those_who_said_them(asr: Any, diarize: FakeDiarize, speech: bytes) -> None:
    client, registry = asr
    body = post(client, speech, model="gpt-4o-transcribe-diarize", chunking_strategy="auto").json
    TranscriptionDiarized.model_validate(body)
    assert set(body) == {"task", "duration", "text", "segments", "usage"}
    assert (body["task"], body["duration"]) == ("transcribe", 18.5)
    assert body["usage"] == {"type": "duration", "seconds": 19}
    first, *_others, last = body["segments"]
    assert set(first) == {"type", "id", "start", "end", "text", "speaker"}
    assert (first["type"], first["id"], first["speaker"]) == ("transcript.text.segment", "seg_001", "A")
    assert last["speaker"] == "B"
    assert {segment["speaker"] for segment in body["segments"]} == {"A", "B"}
    assert body["text"] == "\n".join(f"{s['speaker']}: {s['text']}" for s in body["segments"])
    assert diarize.file == speech, "the same bytes, while the transcription reads them too"
    assert diarize.fields == {"identify": ["false"]}
    assert registry.users == 0


def test_known_voices_have_their_names(asr: Any, diarize: FakeDiarize, speech: bytes) -> None:
    client, _registry = asr
    diarize.answer["speakers"][1]["name"] = "Anne Dubois"
    voice = data_url(sample(8.5, 11.5))
    fields = {"known_speaker_names[]": ["Anne  Dubois"], "known_speaker_references[]": [voice]}
    body = post(client, speech, **fields).json
    assert {segment["speaker"] for segment in body["segments"]} == {"A", "Anne Dubois"}
    assert diarize.fields["known_speaker_names[]"] == ["Anne Dubois"]
    assert diarize.fields["known_speaker_references[]"] == [voice]


def test_a_reference_of_ten_seconds_of_studio_sound_goes_through(asr: Any, speech: bytes) -> None:
    client, _registry = asr
    voice = data_url(wav_bytes(tone(10.0, rate=48_000), rate=48_000, channels=2))
    assert len(voice) > 2_500_000
    fields = {"known_speaker_names[]": ["Anne"], "known_speaker_references[]": [voice]}
    assert post(client, speech, **fields).status_code == 200


@pytest.mark.parametrize(
    ("names", "voices", "param"),
    [
        (["Anne"], [], "known_speaker_references"),
        (["Anne"], ["https://example.org/anne.wav"], "known_speaker_references"),
        (["Anne"], ["data:audio/wav;base64,@@@"], "known_speaker_references"),
        (["Anne"], [data_url(b"not a sound")], "known_speaker_references"),
        (["Anne"], [data_url(bytes(2_100_000))], "known_speaker_references"),
        (["Anne"], [data_url(wav_bytes(tone(1.5)))], "known_speaker_references"),
        (["Anne"], [data_url(wav_bytes(tone(11.0)))], "known_speaker_references"),
        ([""], [data_url(wav_bytes(tone(3.0)))], "known_speaker_names"),
        (["x" * 81], [data_url(wav_bytes(tone(3.0)))], "known_speaker_names"),
        (["a", "b", "c", "d", "e"], [data_url(wav_bytes(tone(3.0)))] * 5, "known_speaker_names"),
        (["a", "a"], [data_url(wav_bytes(tone(3.0)))] * 2, "known_speaker_names"),
    ],
)
def test_a_wrong_reference_is_refused_before_diarize_is_asked(
    asr: Any, diarize: FakeDiarize, names: list[str], voices: list[str], param: str
) -> None:
    client, _registry = asr
    fields = {"known_speaker_names[]": names, "known_speaker_references[]": voices}
    answer = post(client, wav_bytes(tone(1.0)), **fields)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, param)
    assert not diarize.file


@pytest.mark.parametrize("stream", ["false", "true"])
def test_diarize_down_is_a_503_that_names_it(tmp_path: Path, free_port: int, speech: bytes, stream: str) -> None:
    app, registry = speaking_app(Speaking(FRENCH), tmp_path, f"http://127.0.0.1:{free_port}")
    answer = post(app.test_client(), speech, stream=stream)
    assert answer.status_code == 503
    assert (answer.json["error"]["code"], answer.json["error"]["service"]) == ("peer_unavailable", "diarize")
    assert answer.headers["Retry-After"]
    assert registry.users == 0
    broken = post(app.test_client(), b"not a sound", stream=stream)
    assert (broken.status_code, broken.json["error"]["code"]) == (400, "invalid_audio")


@pytest.mark.parametrize("stream", ["false", "true"])
def test_what_diarize_refuses_is_refused_as_it_says(asr: Any, diarize: FakeDiarize, speech: bytes, stream: str) -> None:
    client, registry = asr
    diarize.refusal = ApiError(400, "several_voices", "On entend deux voix.", "known_speaker_references")
    answer = post(client, speech, stream=stream)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "several_voices")
    diarize.refusal = ApiError(503, "model_not_ready", "Pas prêt.", headers={"Retry-After": "7"})
    answer = post(client, speech, stream=stream)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert registry.users == 0


@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_diarization_that_fails_on_the_way_ends_the_transcription(
    asr: Any, diarize: FakeDiarize, stream: str
) -> None:
    client, registry = asr
    diarize.error = {"type": "server_error", "code": "engine_died", "message": "Le moteur s'est arrêté.", "param": None}
    registry.engine.max_chunk_seconds = 5.0

    def wait_for_the_failure() -> None:
        assert diarize.failed.wait(60)
        time.sleep(0.2)  # until asr has read it

    registry.engine.during = wait_for_the_failure
    answer = post(client, sample(0.0, 40.0), stream=stream)
    if stream == "true":
        assert '"code":"engine_died"' in answer.text
        assert "transcript.text.done" not in answer.text
    else:
        assert (answer.status_code, answer.json["error"]["code"]) == (502, "engine_died")
    assert len(registry.engine.chunks) <= 3, "the recording has eight of them"
    assert registry.users == 0


@pytest.mark.parametrize("answer", [{}, {"segments": "x"}, {"segments": [{"speaker": 1}]}])
def test_an_answer_that_is_none_is_a_502(asr: Any, diarize: FakeDiarize, speech: bytes, answer: Any) -> None:
    client, _registry = asr
    diarize.answer = answer
    error = post(client, speech)
    assert (error.status_code, error.json["error"]["code"]) == (502, "peer_bad_answer")


def test_a_transcription_that_fails_stops_the_diarization(asr: Any, diarize: FakeDiarize, speech: bytes) -> None:
    client, registry = asr
    diarize.holds = True

    def fail() -> None:
        raise ApiError(500, "engine_died", "Le moteur s'est arrêté.")

    registry.engine.during = fail
    assert post(client, speech).status_code == 500
    assert diarize.left.wait(60), "diarize was left to work for nobody"
    assert registry.users == 0


def test_the_model_that_does_not_exist_is_told_and_diarize_is_let_go(
    asr: Any, diarize: FakeDiarize, speech: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, registry = asr
    use = registry.use

    @contextmanager
    def once_diarize_is_at_work(*asked: Any) -> Iterator[Any]:
        assert diarize.came.wait(60)
        with use(*asked) as lease:
            yield lease

    monkeypatch.setattr(registry, "use", once_diarize_is_at_work)
    diarize.holds = True
    assert post(client, speech, model="whisper-9").status_code == 404
    assert diarize.left.wait(60), "diarize was left to work for nobody"


def test_the_stream_gives_words_then_who_said_them(asr: Any, speech: bytes) -> None:
    client, _registry = asr
    lines = [line[6:] for line in post(client, speech, stream="true").text.split("\n") if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    events = [json.loads(line) for line in lines]
    kinds = [event["type"].removeprefix("transcript.text.") for event in events]
    assert kinds == sorted(kinds, key=["delta", "segment", "done"].index)
    assert set(kinds) == {"delta", "segment", "done"}
    done = events[-1]
    assert "".join(event["delta"] for event in events if "delta" in event) == done["text"]
    segments = [event for event in events if event["type"] == "transcript.text.segment"]
    assert " ".join(segment["text"] for segment in segments) == done["text"]
    assert [segment["id"] for segment in segments] == [f"seg_{n:03}" for n in range(1, len(segments) + 1)]


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_openais_diarizing_model_gives_subtitles_with_speakers(asr: Any, speech: bytes, kind: str) -> None:
    client, _registry = asr
    text = post(client, speech, model="gpt-4o-transcribe-diarize", response_format=kind).text
    assert ("[B] " if kind == "srt" else "<v B>") in text


def test_silence_has_no_segments(asr: Any, diarize: FakeDiarize) -> None:
    client, _registry = asr
    diarize.answer = {"segments": [], "exclusive": [], "speakers": []}
    body = post(client, wav_bytes(tone(2.0))).json
    assert (body["text"], body["segments"]) == ("", [])


def test_letters_leave_out_the_names_of_known_people() -> None:
    words = [Word(str(n), n, n + 0.5) for n in range(40)]
    turns = [Turn(f"SPEAKER_{n:02}", n, n + 0.9) for n in range(39)] + [Turn("B", 39, 40)]
    said = joined(words, turns, [KnownSpeaker("B", "data:")])
    assert [part.speaker for part in said[:3]] == ["A", "C", "D"]
    assert said[24].speaker == "Z"
    assert said[25].speaker == "A2"
    assert said[-1].speaker == "B"
