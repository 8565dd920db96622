"""Which models asr lists, which it can run, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from asr.engines.embedded.backend import decoders
from asr.factory import create_app
from asr.models import build_registry, speech
from asr.settings import AsrSettings
from common.settings import SettingsError, load


@pytest.mark.usefixtures("engines")
def test_the_catalogue_is_honest_about_what_can_run(client: FlaskClient) -> None:
    body = client.get("/api/models").json
    models = {model["key"]: model for model in body["models"]}
    assert models["pocketsphinx"]["state"] == "ready"
    assert models["pocketsphinx"]["fits"] is True
    assert models["pocketsphinx"]["languages"] == ["en"]
    engines = {"canary-1b-v2": "nemo", "canary-180m-flash": "nemo", "parakeet-tdt-0.6b-v3": "torch"}
    for key, engine in engines.items():
        assert models[key]["hub_id"] == f"nvidia/{key}"
        assert models[key]["fits"] is False
        assert f"make run MOTEURS={engine}" in models[key]["reason"]
    assert body["selection"]["chosen"] == "pocketsphinx"
    absent = {engine["name"]: engine["reason"] for engine in body["engines"] if not engine["installed"]}
    assert absent.keys() == {"nemo", "transformers"}
    assert "make run MOTEURS=torch" in absent["transformers"]
    assert {"name": "embedded", "installed": True, "reason": None} in body["engines"]


def test_an_engine_that_is_installed_makes_its_models_fit(client: FlaskClient, engines: Callable[..., None]) -> None:
    engines("nemo")
    models = {model["key"]: model for model in client.get("/api/models").json["models"]}
    assert models["canary-180m-flash"]["reason"] is None
    assert models["canary-180m-flash"]["need_bytes"] > 182_000_000 * 4
    assert "gpu_advised" not in models["canary-1b-v2"]
    assert "engines" not in models["canary-1b-v2"]


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("action", ["load", "download"])
def test_a_model_without_its_engine_is_refused_at_once(client: FlaskClient, action: str) -> None:
    answer = client.post(f"/api/models/canary-180m-flash/{action}")
    assert (answer.status_code, answer.json["error"]["code"]) == (501, "engine_not_installed")
    models = {model["key"]: model["state"] for model in client.get("/api/models").json["models"]}
    assert models["canary-180m-flash"] == "idle"


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("name", ["whisper-large", "canary-1b-v2", "/nowhere/model.nemo"])
def test_a_chosen_model_that_cannot_run_is_refused_at_start_by_its_variable(name: str) -> None:
    with pytest.raises(SettingsError, match="ASR_MODEL"):
        create_app(load(AsrSettings, asr_model=name))


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("name", ["embedded", "auto", "demo"])
def test_aliases_and_auto_choose_the_embedded_engine(name: str) -> None:
    assert build_registry(load(AsrSettings, asr_model=name)).selection.chosen == "pocketsphinx"


def test_a_wrong_engine_name_is_refused() -> None:
    with pytest.raises(SettingsError, match="ASR_ENGINE"):
        load(AsrSettings, asr_engine="whisper")


def test_an_engine_that_a_model_does_not_have_is_refused_by_its_variable(engines: Callable[..., None]) -> None:
    engines("nemo", "transformers")
    with pytest.raises(
        SettingsError, match=r"ASR_MODEL : canary-180m-flash s'ouvre avec nemo.*ASR_ENGINE=transformers"
    ):
        build_registry(load(AsrSettings, asr_model="canary-180m", asr_engine="transformers"))
    catalogue = speech(load(AsrSettings)).catalogue()
    openers = {entry.key: entry.openers for entry in catalogue}
    assert openers == {
        "canary-1b-v2": ("nemo", "transformers"),
        "parakeet-tdt-0.6b-v3": ("transformers", "nemo"),
        "canary-180m-flash": ("nemo",),
        "whisper-large-v3-turbo": ("transformers",),
        "whisper-small": ("transformers",),
        "whisper-base": ("transformers",),
        "pocketsphinx": ("embedded",),
    }


def test_a_gpu_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.models.asked_gpus.read_gpus", lambda: ())
    with pytest.raises(SettingsError, match="GPU_DEVICE_IDS"):
        build_registry(load(AsrSettings, asr_model="embedded", gpu_device_ids=[3], ia_use_gpu=True))


def test_the_embedded_engine_has_a_decoder_per_core_where_there_is_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.engines.embedded.backend.usable_cpus", lambda: 16)
    assert [decoders(mib * 2**20) for mib in (100, 450, 1024, 64_000)] == [1, 1, 4, 16]


def test_the_service_imports_no_torch() -> None:
    code = (
        "import asr.factory, asr.choose, asr.download_models, asr.engines.embedded.engine, common.audio.vad, sys;"
        "print([m for m in ('torch', 'transformers', 'nemo') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
