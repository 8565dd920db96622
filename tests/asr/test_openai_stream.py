"""stream=true: the events of OpenAI, through its own client, and as they are on the wire."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from flask_openapi import OpenAPI

from asr.engines.base import Capabilities
from tests.asr.speaking import OneEngine, Speaking, sample, speaking_app
from tests.common.audio_files import wav_bytes

FRENCH = Capabilities(languages=frozenset({"fr"}), punctuates=True)
Serve = Callable[..., str]


@pytest.fixture(scope="module")
def speech() -> bytes:
    return sample(0.5, 16.0)


def app_of(tmp_path: Path, **options: Any) -> tuple[OpenAPI, OneEngine]:
    return speaking_app(Speaking(FRENCH, **options), tmp_path)


def post(app: OpenAPI, data: bytes, **fields: Any) -> Any:
    form = {"file": (io.BytesIO(data), "a.wav"), **fields}
    return app.test_client().post("/v1/audio/transcriptions", data=form)


def events_of(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.mark.parametrize("kind", ["json", "text"])
def test_deltas_make_the_text(serve: Serve, tmp_path: Path, speech: bytes, kind: Any) -> None:
    app, _registry = app_of(tmp_path, max_chunk_seconds=5.0)
    client = openai.OpenAI(api_key="unused", base_url=f"{serve(app)}/v1", max_retries=0)
    stream = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.wav", speech), response_format=kind, stream=True
    )
    events = list(stream)
    *deltas, done = events
    assert len(deltas) >= 3
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas) == done.text  # type: ignore[union-attr]
    assert done.usage.to_dict() == {"type": "duration", "seconds": 16}  # type: ignore[union-attr]


def test_the_words_come_while_the_work_goes_on(serve: Serve, tmp_path: Path, speech: bytes) -> None:
    goes_on = threading.Event()
    seen = iter([True])

    def wait_at_the_second() -> None:
        if not next(seen, False):
            assert goes_on.wait(60), "the first words were not sent before the rest was decoded"

    app, _registry = app_of(tmp_path, max_chunk_seconds=5.0, during=wait_at_the_second)
    client = openai.OpenAI(api_key="unused", base_url=f"{serve(app)}/v1", max_retries=0, timeout=30)
    with client.audio.transcriptions.create(model="default", file=("a.wav", speech), stream=True) as stream:
        events = iter(stream)
        assert next(events).type == "transcript.text.delta"
        goes_on.set()
        assert list(events)[-1].type == "transcript.text.done"


def test_the_wire_is_openais(tmp_path: Path, speech: bytes) -> None:
    app, registry = app_of(tmp_path)
    answer = post(app, speech, stream="true", **{"include[]": "logprobs"})
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    events = events_of(answer.text)
    assert "event:" not in answer.text
    assert events[-1] == "[DONE]"
    assert registry.users == 0
    done = events[-2]
    assert set(done) == {"type", "text", "logprobs", "usage"}
    assert "".join(token["token"] for token in done["logprobs"]) == done["text"]
    assert [token for event in events[:-2] for token in event["logprobs"]] == done["logprobs"]
    assert done["logprobs"][1]["logprob"] == pytest.approx(-0.693147)
    assert bytes(done["logprobs"][1]["bytes"]).decode() == done["logprobs"][1]["token"]


def test_an_error_on_the_way_is_the_last_event_and_the_client_raises_it(
    serve: Serve, tmp_path: Path, speech: bytes
) -> None:
    app, registry = app_of(tmp_path, confidence=None)
    client = openai.OpenAI(api_key="unused", base_url=f"{serve(app)}/v1", max_retries=0)
    stream = client.audio.transcriptions.create(
        model="default", file=("a.wav", speech), stream=True, include=["logprobs"]
    )
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "include")
    assert registry.users == 0


@pytest.mark.parametrize("kind", ["srt", "vtt", "verbose_json"])
def test_formats_that_openai_does_not_stream(tmp_path: Path, speech: bytes, kind: str) -> None:
    app, _registry = app_of(tmp_path)
    ignored = post(app, speech, stream="true", response_format=kind, model="whisper-1")
    assert ignored.status_code == 200
    assert ignored.mimetype != "text/event-stream"
    refused = post(app, speech, stream="true", response_format=kind, model="gpt-4o-transcribe")
    assert (refused.status_code, refused.json["error"]["param"]) == (400, "response_format")


def test_silence_streams_an_empty_text(tmp_path: Path) -> None:
    app, _registry = app_of(tmp_path)
    events = events_of(post(app, wav_bytes(np.zeros(32_000, np.float32)), stream="true").text)
    assert events == [
        {"type": "transcript.text.done", "text": "", "usage": {"type": "duration", "seconds": 2}},
        "[DONE]",
    ]
