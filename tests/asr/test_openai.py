"""POST /v1/audio/transcriptions, through OpenAI's own client."""

from __future__ import annotations

import io
from collections.abc import Callable

import openai
import pytest
from flask.testing import FlaskClient
from flask_openapi import OpenAPI

from tests.common.audio_files import tone, wav_bytes


@pytest.fixture
def openai_client(asr_app: OpenAPI, serve: Callable[..., str]) -> openai.OpenAI:
    return openai.OpenAI(api_key="unused", base_url=f"{serve(asr_app)}/v1", max_retries=0)


def test_json_and_verbose_json(openai_client: openai.OpenAI, english: bytes) -> None:
    plain = openai_client.audio.transcriptions.create(model="whisper-1", file=("speech.wav", english))
    assert "country" in plain.text
    verbose = openai_client.audio.transcriptions.create(
        model="pocketsphinx",
        file=("speech.wav", english),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert verbose.text == plain.text
    assert verbose.duration == pytest.approx(3.0, abs=0.1)
    assert verbose.words is not None
    assert verbose.segments is not None
    assert " ".join(word.word for word in verbose.words) == plain.text
    assert [segment.id for segment in verbose.segments] == list(range(len(verbose.segments)))


def test_text_and_subtitles(openai_client: openai.OpenAI, english: bytes) -> None:
    text = openai_client.audio.transcriptions.create(
        model="default", file=("speech.wav", english), response_format="text"
    )
    assert text.endswith("country\n")
    subtitles = openai_client.audio.transcriptions.create(
        model="default", file=("speech.wav", english), response_format="srt"
    )
    assert subtitles.startswith("1\n00:00:00,")
    web = openai_client.audio.transcriptions.create(
        model="default", file=("speech.wav", english), response_format="vtt"
    )
    assert web.startswith("WEBVTT\n\n00:00:00.")


def test_unknown_model_and_format(openai_client: openai.OpenAI, client: FlaskClient) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client.audio.transcriptions.create(model="whisper-9", file=("t.wav", wav_bytes(tone(0.5))))
    assert caught.value.code == "model_not_found"
    form = {"file": (io.BytesIO(wav_bytes(tone(0.5))), "t.wav"), "model": "default", "response_format": "docx"}
    error = client.post("/v1/audio/transcriptions", data=form).json["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "response_format")
