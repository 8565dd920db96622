"""Speech models from a hub to words and back to nothing, over HTTP: RANDOM tiny models, the real engines' processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from flask.testing import FlaskClient

from asr.factory import create_app
from asr.settings import AsrSettings
from common.settings import load
from tests.asr import nemo_models
from tests.asr.test_transcribe import post
from tests.common.audio_files import tone, wav_bytes
from tests.hub_server import Fault, HubServer

PARAKEET, CANARY, TUNED = "nvidia/parakeet-tdt-0.6b-v3", "nvidia/canary-180m-flash", "someone/canary-tuned"


def service(hub: HubServer, folder: Path, **more: Any) -> Iterator[FlaskClient]:
    settings = load(
        AsrSettings,
        asr_model="embedded",
        data_dir=folder / "data",
        model_cache_dir=folder / "cache",
        hf_endpoint=hub.url,
        ia_swap_wait_s=120,
        **more,
    )
    app = create_app(settings)
    yield app.test_client()
    app.extensions["frigo.models"].close()


def models(client: FlaskClient) -> dict[str, dict[str, Any]]:
    return {model["key"]: model for model in client.get("/api/models").json["models"]}


def wait(client: FlaskClient, key: str, state: str, seconds: float = 90) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (model := models(client)[key])["state"] != state:
        assert time.monotonic() < deadline, model
        assert model["state"] != "error", model["error"]
        time.sleep(0.1)
    return model


def children() -> set[int]:
    """The processes that hold speech models for this one."""
    found = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # one that has just ended has no command any more
            if "asr.engines.process.host" in child.cmdline():
                found.add(child.pid)
    return found


def gone(pids: set[int], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while pids & children():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    from tests.asr.hf_models import random_canary, random_parakeet

    folder = tmp_path_factory.mktemp("repos")
    server = HubServer(
        {PARAKEET: random_parakeet(folder / "parakeet", "tdt"), TUNED: random_canary(folder / "canary")}
    ).start()
    server.faults.append(Fault(f"{PARAKEET}/resolve", cut_after=30_000, times=2))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def others() -> set[int]:
    """Those of other tests."""
    return children()


@pytest.fixture(scope="module")
def client(hub: HubServer, others: set[int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    yield from service(hub, tmp_path_factory.mktemp("asr"), asr_engine="auto")


def test_a_model_of_a_hub_is_fetched_opened_and_left(client: FlaskClient, hub: HubServer, others: set[int]) -> None:
    sound, key = wav_bytes(tone(2.0)), "parakeet-tdt-0.6b-v3"
    wait(client, "pocketsphinx", "ready")
    answer = client.post("/api/models/parakeet/load")
    assert (answer.status_code, answer.json["key"]) == (202, key)
    ready = wait(client, key, "ready")
    assert (ready["engine"], ready["reason"]) == ("transformers", None)
    assert ready["resident_bytes"] > 100 * 2**20
    assert any(span for span in hub.ranges_of("model.safetensors"))  # cut, and taken up where it was
    said = post(client, sound, language="fr")
    assert (said.status_code, said.json["model"], said.json["engine"]) == (200, key, "transformers"), said.json
    held = children() - others
    assert len(held) == 1
    assert client.post("/api/models/parakeet/unload").status_code == 202
    assert wait(client, key, "downloaded")["resident_bytes"] is None
    assert gone(held)
    assert post(client, sound, language="en").json["model"] == "pocketsphinx"


@pytest.mark.slow
def test_a_hub_id_serves_beside_another_and_may_be_killed(client: FlaskClient, others: set[int]) -> None:
    for name in ("parakeet", TUNED):
        assert client.post(f"/api/models/{name}/load").status_code == 202
    wait(client, TUNED, "ready")
    wait(client, "parakeet-tdt-0.6b-v3", "ready")
    assert len(children() - others) == 2  # side by side: there is room
    assert post(client, wav_bytes(tone(1.0)), language="fr").json["model"] == TUNED
    client.post("/api/models/parakeet/unload")
    wait(client, "parakeet-tdt-0.6b-v3", "downloaded")
    (left,) = children() - others
    psutil.Process(left).kill()
    deadline = time.monotonic() + 60
    while models(client)[TUNED]["state"] == "ready":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert client.get("/health").status_code == 200
    assert post(client, wav_bytes(tone(1.0)), model="embedded", language="en").status_code == 200


@pytest.mark.slow
@pytest.mark.skipif(not nemo_models.PYTHON.is_file(), reason="NeMo's environment is not here: make run MOTEURS=nemo")
def test_a_nemo_archive_of_a_hub_is_opened_in_nemos_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    (archive,) = nemo_models.made("taught-canary-flash")
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "canary-180m-flash.nemo").write_bytes(archive.read_bytes())
    hub = HubServer({CANARY: repo}).start()
    request.addfinalizer(hub.stop)
    hub.faults.append(Fault(".nemo", cut_after=archive.stat().st_size // 2, times=1))
    steps = service(hub, tmp_path)
    client = next(steps)
    request.addfinalizer(lambda: next(steps, None))
    before = children()
    assert client.post("/api/models/canary-180m/load").status_code == 202
    ready = wait(client, "canary-180m-flash", "ready", 180)
    assert (ready["engine"], ready["bytes_done"]) == ("nemo", archive.stat().st_size)
    assert hub.ranges_of(".nemo")[-1].startswith("bytes=")
    said = post(client, wav_bytes(tone(2.0)), language="fr")
    assert (said.status_code, said.json["model"]) == (200, "canary-180m-flash"), said.json
    held = children() - before
    client.post("/api/models/canary-180m/unload")
    assert gone(held)
