"""POST /v1/audio/transcriptions, through OpenAI's own client; tests/e2e has it with a real engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openai
import pytest

from asr.engines.base import Capabilities
from tests.asr.speaking import Speaking, sample, speaking_app
from tests.common.audio_files import tone, wav_bytes


@pytest.fixture
def openai_client(tmp_path: Path, serve: Callable[..., str]) -> openai.OpenAI:
    app, _registry = speaking_app(Speaking(Capabilities(frozenset({"fr"}), punctuates=True)), tmp_path)
    return openai.OpenAI(api_key="unused", base_url=f"{serve(app)}/v1", max_retries=0)


@pytest.fixture(scope="module")
def speech() -> tuple[str, bytes]:
    return "speech.wav", sample(0.5, 7.0)


def test_json_and_verbose_json(openai_client: openai.OpenAI, speech: tuple[str, bytes]) -> None:
    plain = openai_client.audio.transcriptions.create(model="whisper-1", file=speech)
    assert "maquette" in plain.text
    verbose = openai_client.audio.transcriptions.create(
        model="canary-180m-flash",
        file=speech,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert verbose.text == plain.text
    assert verbose.duration == pytest.approx(6.5, abs=0.1)
    assert verbose.words is not None
    assert verbose.segments is not None
    assert " ".join(word.word for word in verbose.words) == plain.text
    assert [segment.id for segment in verbose.segments] == list(range(len(verbose.segments)))
    assert len(verbose.segments) == 2


def test_text_and_subtitles(openai_client: openai.OpenAI, speech: tuple[str, bytes]) -> None:
    text = openai_client.audio.transcriptions.create(model="default", file=speech, response_format="text")
    assert text.endswith("lundi .\n")
    subtitles = openai_client.audio.transcriptions.create(model="default", file=speech, response_format="srt")
    assert subtitles.startswith("1\n00:00:00,")
    web = openai_client.audio.transcriptions.create(model="default", file=speech, response_format="vtt")
    assert web.startswith("WEBVTT\n\n00:00:00.")


def test_an_unknown_model_is_the_client_s_own_error(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client.audio.transcriptions.create(model="whisper-9", file=("t.wav", wav_bytes(tone(0.5))))
    assert caught.value.code == "model_not_found"
