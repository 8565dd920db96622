"""What each field of OpenAI's means here, and how a wrong one is refused: 400 in OpenAI's shape, by its name."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from openai.types import audio

from asr.engines.base import Capabilities
from asr.languages import language_name
from asr.routes.forms import STAND_INS
from common.models.catalogue import load_catalogue
from tests.asr.speaking import ROOT, OneEngine, Speaking, sample, speaking_app
from tests.common.audio_files import tone, wav_bytes

CANARY = Capabilities(
    languages=frozenset({"de", "en", "fr"}),
    translations=frozenset({("fr", "en"), ("de", "en"), ("en", "fr")}),
    punctuates=True,
)
PARAKEET = Capabilities(languages=frozenset({"en", "fr"}), detects_language=True, prompt=True, temperature=True)
WAV = wav_bytes(tone(1.0))


@pytest.fixture(scope="module")
def speech() -> bytes:
    return sample(0.5, 7.0)


def service(tmp_path: Path, capabilities: Capabilities, **options: Any) -> tuple[FlaskClient, OneEngine]:
    app, registry = speaking_app(Speaking(capabilities, **options), tmp_path)
    return app.test_client(), registry


def post(client: FlaskClient, data: bytes, path: str = "transcriptions", **fields: Any) -> Any:
    return client.post(f"/v1/audio/{path}", data={"file": (io.BytesIO(data), "a.wav"), **fields})


def refusal(answer: Any) -> tuple[int, str, str]:
    assert set(answer.json["error"]) >= {"message", "type", "param", "code"}
    assert answer.json["error"]["type"] == "invalid_request_error"
    return answer.status_code, answer.json["error"]["code"], answer.json["error"]["param"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "docx"}, "response_format"),
        ({"temperature": "2"}, "temperature"),
        ({"temperature": "NaN"}, "temperature"),
        ({"temperature": "chaud"}, "temperature"),
        ({"stream": "peut-être"}, "stream"),
        ({"language": "klingon"}, "language"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"timestamp_granularities[]": "letter", "response_format": "verbose_json"}, "timestamp_granularities[0]"),
        ({"include[]": "logprobs", "response_format": "text"}, "include"),
        ({"include[]": "tokens"}, "include[0]"),
        ({"chunking_strategy": "manual"}, "chunking_strategy"),
        ({"chunking_strategy": '{"type": "server_vad", "threshold": 2}'}, "chunking_strategy.threshold"),
        ({"chunking_strategy[type]": "client_vad"}, "chunking_strategy.type"),
        ({"chunking_strategy[type]": "server_vad", "chunking_strategy[size]": "3"}, "chunking_strategy.size"),
        ({"chunking_strategy[threshold]": "0.5"}, "chunking_strategy.type"),
        ({"known_speaker_names[]": "Anne"}, "known_speaker_names"),
        ({"languages[]": ["fr", "en"]}, "languages"),
        ({"languages[]": "klingon"}, "languages"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(tmp_path: Path, fields: dict[str, Any], param: str) -> None:
    client, registry = service(tmp_path, PARAKEET)
    status, _code, named = refusal(post(client, WAV, **fields))
    assert (status, named) == (400, param)
    assert registry.asked == [], "refused before a model was asked for"


def test_a_file_given_as_text_and_no_file_at_all(tmp_path: Path) -> None:
    client, _registry = service(tmp_path, PARAKEET)
    as_text = client.post("/v1/audio/transcriptions", data={"file": "bonjour", "model": "whisper-1"})
    assert refusal(as_text) == (400, "missing_file", "file")
    assert refusal(client.post("/v1/audio/transcriptions", data={"model": "x"})) == (400, "missing_file", "file")
    assert refusal(client.post("/v1/audio/translations", json={"model": "x"})) == (400, "missing_file", "file")


@pytest.mark.parametrize("name", [*STAND_INS, "", "Whisper-1"])
def test_openais_names_mean_the_model_that_is_ready(tmp_path: Path, name: str) -> None:
    client, registry = service(tmp_path, PARAKEET)
    assert post(client, WAV, model=name).status_code == 200
    assert registry.asked == [None]


def test_one_of_our_names_is_that_model_and_another_is_none(tmp_path: Path) -> None:
    client, registry = service(tmp_path, PARAKEET)
    assert post(client, WAV, model="canary-180m-flash").status_code == 200
    assert refusal(post(client, WAV, model="whisper-9")) == (404, "model_not_found", "model")
    assert registry.asked == ["canary-180m-flash", "whisper-9"]
    assert registry.users == 0


def test_what_the_model_takes_reaches_it(tmp_path: Path, speech: bytes) -> None:
    client, registry = service(tmp_path, PARAKEET)
    fields = {"language": "fr-CA", "prompt": " Frigo ", "temperature": "0.4", "keywords[]": ["DINUM", "Anne"]}
    assert post(client, speech, **fields).status_code == 200
    (task,) = registry.engine.tasks
    assert (task.language, task.target, task.prompt, task.temperature) == ("fr", None, "Frigo DINUM, Anne", 0.4)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("transcriptions", {"prompt": "Frigo"}),
        ("translations", {"language": "fr", "model": "canary-180m-flash"}),
        ("transcriptions", {}),
    ],
)
def test_a_refusal_says_which_model_cannot_not_which_library(tmp_path: Path, path: str, fields: dict[str, str]) -> None:
    spoken = frozenset({"de", "fi"}) if not fields else CANARY.languages
    client, _registry = service(tmp_path, Capabilities(languages=spoken), name="nemo")
    message = post(client, WAV, path, **fields).json["error"]["message"]
    assert "(canary-180m-flash)" in message
    assert "nemo" not in message


def test_every_language_of_the_best_models_has_a_name_for_its_reader() -> None:
    spoken = load_catalogue(ROOT / "asr" / "models.toml").find("canary-1b-v2").languages
    assert len(spoken) == 25
    assert not [code for code in spoken if str(language_name(code)) == code]


def test_what_the_model_does_not_take_is_refused_by_name(tmp_path: Path) -> None:
    client, _registry = service(tmp_path, CANARY)
    assert refusal(post(client, WAV, prompt="Frigo")) == (400, "unsupported_parameter", "prompt")
    assert refusal(post(client, WAV, temperature="0.5")) == (400, "unsupported_parameter", "temperature")
    assert refusal(post(client, WAV, language="es")) == (400, "unsupported_language", "language")


def test_the_threshold_of_the_chunking_is_the_services_own(tmp_path: Path) -> None:
    faint = sample(0.5, 7.0)
    client, registry = service(tmp_path, PARAKEET)
    for threshold in ("0.05", "0.95"):
        form = {"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": threshold}
        assert post(client, faint, **form).status_code == 200
    assert post(client, faint, chunking_strategy="auto").status_code == 200
    voiced = [sum(end - start for start, end in chunk.voiced) for chunk in registry.engine.chunks]
    assert voiced[0] > voiced[-1] > 0 or len(registry.engine.chunks) > 3


def test_json_has_the_text_and_whole_seconds(tmp_path: Path, speech: bytes) -> None:
    client, _registry = service(tmp_path, PARAKEET)
    body = post(client, speech).json
    assert set(body) == {"text", "usage"}
    assert body["usage"] == {"type": "duration", "seconds": 7}


@pytest.mark.parametrize("path", ["transcriptions", "translations"])
def test_headers_tell_which_model_served_and_what_its_text_is_worth(tmp_path: Path, path: str) -> None:
    client, _registry = service(tmp_path, CANARY, demo=True)
    headers = post(client, WAV, path, language="fr").headers
    assert headers["X-Frigo-Model"] == "canary-180m-flash"
    assert int(headers["X-Frigo-Audio-Seconds"]) > 0
    assert "démonstration" in json.loads(headers["X-Frigo-Warnings"])[0]
    assert headers["X-Frigo-Warnings"].isascii()
    client, _registry = service(tmp_path, CANARY)
    assert "X-Frigo-Warnings" not in post(client, WAV, path, language="fr").headers


def test_gpt_transcribe_tells_the_languages_it_heard(tmp_path: Path, speech: bytes) -> None:
    client, _registry = service(tmp_path, PARAKEET, detected="fr")
    assert post(client, speech, model="gpt-transcribe").json["languages"] == [{"code": "fr"}]


def test_logprobs_are_the_models_confidences(tmp_path: Path, speech: bytes) -> None:
    client, _registry = service(tmp_path, PARAKEET, confidence=0.25)
    body = post(client, speech, **{"include[]": "logprobs"}).json
    assert "".join(token["token"] for token in body["logprobs"]) == body["text"]
    assert {token["logprob"] for token in body["logprobs"]} == {round(math.log(0.25), 6)}


def test_logprobs_are_refused_when_the_model_has_no_confidence(tmp_path: Path) -> None:
    client, registry = service(tmp_path, PARAKEET, confidence=None)
    registry.engine.max_chunk_seconds = 5.0
    answer = post(client, sample(0.5, 18.0), **{"include[]": "logprobs"})
    assert refusal(answer) == (400, "unsupported_parameter", "include")
    assert registry.users == 0
    assert len(registry.engine.chunks) < 4, "told at the first words, not at the end of the recording"


@pytest.mark.parametrize(
    ("granularities", "shown"),
    [
        ([], {"segments"}),
        (["segment"], {"segments"}),
        (["word"], {"words"}),
        (["word", "segment"], {"segments", "words"}),
        (["segment", "word"], {"segments", "words"}),
    ],
)
@pytest.mark.parametrize("field", ["timestamp_granularities[]", "timestamp_granularities"])
def test_verbose_json_has_the_granularities_asked_for(
    tmp_path: Path, speech: bytes, granularities: list[str], shown: set[str], field: str
) -> None:
    client, _registry = service(tmp_path, CANARY)
    body = post(client, speech, response_format="verbose_json", language="fr", **{field: granularities}).json
    assert set(body) == {"task", "language", "duration", "text", "usage"} | shown
    assert (body["task"], body["language"], body["duration"]) == ("transcribe", "french", 6.5)
    for number, segment in enumerate(body.get("segments", [])):
        assert segment["id"] == number
        assert segment["avg_logprob"] == pytest.approx(math.log(0.5), abs=1e-3)
        assert 0 <= segment["start"] < segment["end"] <= 6.5
        assert segment["compression_ratio"] > 0
        audio.TranscriptionSegment.model_validate(segment, strict=True)
    for word in body.get("words", []):
        audio.TranscriptionWord.model_validate(word, strict=True)


def test_a_translation_is_english_in_every_format(tmp_path: Path, speech: bytes) -> None:
    client, registry = service(tmp_path, CANARY, text="Hello everyone.")
    plain = post(client, speech, "translations", language="fr")
    assert plain.json == {"text": "Hello everyone."}
    assert registry.engine.tasks[0].target == "en"
    body = post(client, speech, "translations", language="fr", response_format="verbose_json").json
    assert set(body) == {"task", "language", "duration", "text", "segments"}
    assert (body["task"], body["language"]) == ("translate", "english")
    assert post(client, speech, "translations", language="fr", response_format="text").text == "Hello everyone.\n"
    assert "Hello everyone." in post(client, speech, "translations", language="fr", response_format="srt").text
    assert post(client, speech, "translations", language="fr", response_format="vtt").text.startswith("WEBVTT\n\n")
    wrong = post(client, speech, "translations", response_format="diarized_json")
    assert refusal(wrong)[2] == "response_format"


def test_a_translation_that_the_model_cannot_do_is_refused_with_those_it_can(tmp_path: Path) -> None:
    spanish = Capabilities(frozenset({"es", "fr"}), translations=frozenset({("es", "en")}))
    client, _registry = service(tmp_path, spanish)
    answer = post(client, WAV, "translations", language="fr")
    assert refusal(answer)[:2] == (400, "unsupported_translation")
    assert "es→en" in answer.json["error"]["message"]


def test_the_answers_are_what_openais_types_expect(tmp_path: Path, speech: bytes) -> None:
    client, _registry = service(tmp_path, CANARY)
    audio.Transcription.model_validate(post(client, speech).json)
    verbose = post(client, speech, response_format="verbose_json").json
    audio.TranscriptionVerbose.model_validate(verbose)
    long = post(client, speech, "translations", language="fr", response_format="verbose_json").json
    audio.TranslationVerbose.model_validate(long)


def test_the_documentation_names_every_value(tmp_path: Path) -> None:
    client, _registry = service(tmp_path, CANARY)
    document = client.get("/openapi.json").json
    schemas = document["components"]["schemas"]
    form = schemas["TranscriptionForm"]["properties"]
    assert form["response_format"]["enum"] == ["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]
    assert form["timestamp_granularities[]"]["items"]["enum"] == ["word", "segment"]
    assert "gpt-4o-transcribe-diarize" in form["model"]["description"]
    assert schemas["TranslationForm"]["properties"]["response_format"]["enum"] == [
        "json",
        "text",
        "srt",
        "verbose_json",
        "vtt",
    ]
    answers = document["paths"]["/v1/audio/transcriptions"]["post"]["responses"]
    content = answers["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream", "text/plain", "application/x-subrip", "text/vtt"}
    assert len(content["application/json"]["schema"]["oneOf"]) == 3
    types = [event["properties"]["type"]["enum"] for event in content["text/event-stream"]["schema"]["oneOf"]]
    assert types == [["transcript.text.delta"], ["transcript.text.segment"], ["transcript.text.done"]]
    assert {"400", "404", "413", "503"} <= set(answers)
    assert "$ref" not in json.dumps(content)
