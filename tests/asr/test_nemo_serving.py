"""NeMo's models through the whole service: a real archive, a real process of NeMo's environment, HTTP.

The model is tiny and random, then taught four sentences by heart (tests/asr/nemo_models.py): what it answers is known,
times included, whatever it hears; what is tried is everything around it.
"""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from asr.factory import create_app
from asr.settings import AsrSettings
from common.audio.decode import AudioReader
from common.settings import load
from tests.asr.nemo_models import LESSONS, PYTHON, ROOT, made
from tests.common.audio_files import wav_bytes
from tests.hub_server import HubServer

pytestmark = pytest.mark.skipif(not PYTHON.is_file(), reason="NeMo's environment is not here: make run MOTEURS=nemo")
FRAME = 0.08


def _ready(client: FlaskClient) -> list[dict[str, Any]]:
    """The models that are loaded, but for the demonstration one."""
    found = client.get("/api/models").json["models"]
    return [model for model in found if model["state"] == "ready" and not model["embedded"]]


@contextmanager
def serving(data_dir: Path, **settings: Any) -> Iterator[FlaskClient]:
    app = create_app(load(AsrSettings, data_dir=data_dir, ia_use_gpu=False, **settings))
    client = app.test_client()
    try:
        deadline = time.monotonic() + 240
        while not _ready(client):  # the demonstration engine serves meanwhile
            assert time.monotonic() < deadline, client.get("/api/models").json
            time.sleep(0.1)
        yield client
    finally:
        app.extensions["frigo.models"].close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    folder = tmp_path_factory.mktemp("nemo")
    (archive,) = made("taught-canary-flash")
    shutil.copy(archive, folder / "archive.nemo")
    with serving(folder, asr_model=str(folder / "archive.nemo"), asr_engine="nemo") as client:
        yield client


@pytest.fixture(scope="module")
def speech() -> bytes:
    """Four seconds of people who talk, from the sample meeting."""
    sound = AudioReader(io.BytesIO((ROOT / "app" / "sample" / "reunion-exemple.ogg").read_bytes())).read()
    return wav_bytes(sound[: 4 * 16_000])


def post(client: FlaskClient, path: str, sound: bytes, **fields: Any) -> Any:
    return client.post(path, data={"file": (io.BytesIO(sound), "a.wav"), **fields})


def transcribe(client: FlaskClient, sound: bytes, **fields: Any) -> Any:
    answer = post(client, "/api/audio/transcribe", sound, **fields)
    assert answer.status_code == 200, answer.json
    return answer.json


@pytest.mark.parametrize("language", ["fr", "en"])
def test_words_come_with_the_times_that_the_model_wrote(client: FlaskClient, speech: bytes, language: str) -> None:
    body = transcribe(client, speech, language=language)
    lesson = LESSONS[language, language]
    assert body["text"] == " ".join(word for word, _start, _end in lesson)
    assert (body["engine"], body["language"]) == ("nemo", language)
    words = body["words"]
    shift = words[0]["start"] - lesson[0][1] * FRAME  # the chunk begins where the speech does
    assert 0 <= shift < 1
    for word, (written, start, end) in zip(words, lesson, strict=True):
        assert word["word"] == written
        assert (word["start"], word["end"]) == pytest.approx((shift + start * FRAME, shift + end * FRAME), abs=0.011)
        assert 0.9 < word["confidence"] <= 1
    assert not body["warnings"]


def test_translating_asks_the_model_another_thing(client: FlaskClient, speech: bytes) -> None:
    answer = post(
        client, "/v1/audio/translations", speech, model="archive", response_format="verbose_json", language="fr"
    )
    assert answer.status_code == 200, answer.json
    assert answer.json["text"] == "the cat looked up"


def test_a_language_that_it_was_not_taught_is_refused(client: FlaskClient, speech: bytes) -> None:
    answer = post(client, "/api/audio/transcribe", speech, language="de")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "unsupported_language")


def test_silence_gives_nothing(client: FlaskClient) -> None:
    body = transcribe(client, wav_bytes(np.zeros(16_000 * 4, np.float32)), language="fr")
    assert (body["text"], body["words"], body["segments"]) == ("", [], [])


def test_a_long_recording_is_heard_to_its_end(client: FlaskClient, speech: bytes) -> None:
    """Chunks of 40 seconds at most, two to a batch: as many lessons as chunks, in order."""
    once = AudioReader(io.BytesIO(speech)).read()
    body = transcribe(client, wav_bytes(np.tile(once, 25)), language="fr")
    starts = [word["start"] for word in body["words"]]
    assert starts == sorted(starts)
    assert starts[-1] > 60
    assert not body["warnings"]


@pytest.mark.slow
def test_a_model_of_the_hub_is_fetched_unpacked_and_served(tmp_path: Path, speech: bytes) -> None:
    """Canary-1b-v2's kind: one tokenizer for all languages, and a second model in the archive for the times."""
    repository = tmp_path / "repository"
    repository.mkdir()
    (archive,) = made("taught-canary-v2")
    shutil.copy(archive, repository / "model.nemo")
    (repository / "setup.py").write_text("raise SystemExit")
    (repository / "README.md").write_text("# Random")
    hub = HubServer({"acme/random-canary": repository}).start()
    try:
        cache = tmp_path / "cache"
        with serving(
            tmp_path, asr_model="acme/random-canary", hf_endpoint=hub.url, model_cache_dir=cache, huggingface_token=""
        ) as client:
            body = transcribe(client, speech, language="fr")
            translated = post(client, "/v1/audio/translations", speech, model="acme/random-canary", language="fr")
            (model,) = _ready(client)
    finally:
        hub.stop()
    assert body["text"] == "le chat dort là,"
    times = [time for word in body["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert times[-1] > times[0]
    assert translated.json["text"] == "the cat looked up"
    assert model["engine"] == "nemo"
    fetched = {path.rpartition("/")[2] for method, path, _span in hub.seen if method == "GET" and "/resolve/" in path}
    assert fetched == {"model.nemo"}
    assert len(list(cache.glob("models--acme--random-canary/unpacked/*/model_config.yaml"))) == 1
