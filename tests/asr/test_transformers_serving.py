"""transformers' models through the whole service: folders and a hub, real processes, HTTP. RANDOM weights."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from asr.engines.transformers.backend import TransformersBackend
from asr.engines.transformers.footprint import need
from common.errors import ApiError
from common.hub.hub import Hub
from common.models.catalogue import ModelEntry
from tests.asr import hf_models
from tests.asr.hf_serving import post, serving, states, wait
from tests.asr.speaking import sample
from tests.common.audio_files import wav_bytes
from tests.hub_server import HubServer


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three random models, and one of another kind with files of the same names."""
    parent = tmp_path_factory.mktemp("folders")
    hf_models.random_parakeet(parent / "random-tdt", "tdt")
    hf_models.random_canary(parent / "random-canary")
    hf_models.random_whisper(parent / "random-whisper")
    shutil.copytree(parent / "random-tdt", parent / "seeing")
    config = json.loads((parent / "seeing" / "config.json").read_text())
    (parent / "seeing" / "config.json").write_text(json.dumps(config | {"model_type": "llava"}))
    return parent


@pytest.fixture(scope="module")
def client(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with serving(tmp_path_factory.mktemp("asr"), asr_model=str(folders / "random-canary")) as client:
        yield client


@pytest.fixture(scope="module")
def speech() -> bytes:
    return sample(0, 6)


def entry(path: Path | None = None, **more: Any) -> ModelEntry:
    return ModelEntry(**({"key": "one", "family": "", "parameters": 0, "licence": "", "path": path} | more))


def test_a_folder_is_served_and_says_what_it_can(client: FlaskClient, speech: bytes) -> None:
    answer = post(client, "/api/audio/transcribe", speech, language="fr")
    assert answer.status_code == 200, answer.json
    assert answer.json["model"] == "random-canary"
    starts = [word["start"] for word in answer.json["words"]]
    assert starts == sorted(starts)
    assert all(word["end"] <= 6.0 for word in answer.json["words"])
    model = states(client)["random-canary"]
    assert model["engine"] == "transformers"
    assert model["need_bytes"] >= need(1, cuda=False)


def test_languages_are_asked_for_or_refused(client: FlaskClient, speech: bytes) -> None:
    for fields, param in (({"language": "ru"}, "language"), ({"language": "fr", "prompt": "Frigo"}, "prompt")):
        answer = post(client, "/v1/audio/transcriptions", speech, model="random-canary", **fields)
        assert answer.status_code == 400, answer.json
        assert answer.json["error"]["param"] == param
    answer = post(client, "/v1/audio/translations", speech, model="random-canary", language="fr")
    assert answer.status_code == 200, answer.json


def test_silence_gives_nothing_over_http(client: FlaskClient) -> None:
    silence = wav_bytes(np.zeros(16_000 * 3, np.float32))
    answer = post(client, "/api/audio/transcribe", silence, language="fr")
    assert (answer.json["text"], answer.json["words"]) == ("", [])


def test_another_model_takes_over_and_no_request_is_lost(folders: Path, tmp_path: Path, speech: bytes) -> None:
    """From a Whisper to the embedded engine and back, while half a minute of speech is being read."""
    half_a_minute = wav_bytes(np.tile(np.frombuffer(speech[44:], np.int16).astype(np.float32) / 32768, 5))
    answers: list[Any] = []
    with serving(tmp_path, asr_model=str(folders / "random-whisper"), ia_swap_wait_s=120) as client:

        def ask() -> None:
            answers.append(
                post(client.application.test_client(), "/api/audio/transcribe", half_a_minute, language="en")
            )

        for key in ("pocketsphinx", "random-whisper"):
            asking = threading.Thread(target=ask)
            asking.start()
            assert client.post(f"/api/models/{key}/load").status_code in (200, 202)
            wait(client, key, "ready")
            asking.join(timeout=120)
        answers.append(post(client, "/api/audio/transcribe", speech))
    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.json for answer in answers]
    assert answers[-1].json["model"] == "random-whisper"
    assert answers[-1].json["language"] in hf_models.WHISPER_LANGUAGES


@pytest.mark.slow
def test_a_model_of_the_hub_is_fetched_safely_and_served(folders: Path, tmp_path: Path, speech: bytes) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(folders / "random-tdt", repository)
    for name in ("pytorch_model.bin", "model.nemo", "setup.py"):
        (repository / name).write_bytes(b"\x80\x04.")
    hub = HubServer({"acme/random-parakeet": repository, "acme/seeing": folders / "seeing"}).start()
    try:
        with serving(
            tmp_path,
            asr_model="acme/random-parakeet",
            asr_engine="transformers",
            hf_endpoint=hub.url,
            model_cache_dir=tmp_path / "cache",
            huggingface_token="",
        ) as client:
            answer = post(client, "/api/audio/transcribe", speech, language="fr")
            assert answer.status_code == 200, answer.json
            assert answer.json["words"]
            refused = client.post("/api/models/acme/seeing/load")
            assert (refused.status_code, refused.json["error"]["code"]) == (422, "model_unusable")
            assert "llava" in refused.json["error"]["message"]
    finally:
        hub.stop()
    fetched = [path for method, path, _span in hub.seen if method == "GET" and "/resolve/" in path]
    assert not [path for path in fetched if path.endswith((".bin", ".nemo", ".py"))]
    weights = [span for _method, path, span in hub.seen if "seeing" in path and path.endswith(".safetensors")]
    assert all(span.startswith("bytes=") for span in weights)  # the header, to know its size; never a weight


def test_a_folder_of_another_kind_or_half_a_model_is_refused(folders: Path, tmp_path: Path) -> None:
    from common.models.backends import Placement

    backend = TransformersBackend(Hub(tmp_path / "cache", offline=True))
    with pytest.raises(ApiError) as caught:
        backend.open(entry(folders / "seeing"), Placement())
    assert (caught.value.status, caught.value.code) == (422, "model_unusable")
    half = tmp_path / "half"
    shutil.copytree(folders / "random-tdt", half)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (half / "model.safetensors.index.json").write_text(json.dumps(index))
    (half / "model.safetensors").rename(half / "model-00001-of-00002.safetensors")
    assert not backend.whole(half)
    assert not backend.whole(tmp_path)
    assert not backend.opens(entry(hub_id="acme/one"))
    assert backend.opens(entry(folders / "random-whisper"))


def test_memory_is_told_by_the_files_else_by_the_catalogue(folders: Path, tmp_path: Path) -> None:
    backend = TransformersBackend(Hub(tmp_path / "cache", offline=True))
    small = backend.need_bytes(entry(folders / "random-tdt"), cuda=False)
    listed = entry(hub_id="nvidia/parakeet-tdt-0.6b-v3", parameters=627_000_000)
    large = backend.need_bytes(listed, cuda=False)
    assert small is not None
    assert large is not None
    assert large - small >= 600_000_000  # at sixteen bits, and batches that weigh half as much
    assert backend.need_bytes(entry(hub_id="acme/unknown"), cuda=False) is None
