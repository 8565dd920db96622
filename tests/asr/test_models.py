"""Which models asr lists, which it can run, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
from flask.testing import FlaskClient

from asr.factory import create_app
from asr.settings import AsrSettings
from common.settings import SettingsError, load


def test_the_catalogue_is_honest_about_what_can_run(client: FlaskClient) -> None:
    body = client.get("/api/models").json
    models = {model["key"]: model for model in body["models"]}
    assert models["pocketsphinx"]["state"] == "ready"
    assert models["pocketsphinx"]["fits"] is True
    assert models["pocketsphinx"]["languages"] == ["en"]
    for key in ("canary-1b-v2", "canary-180m-flash", "parakeet-tdt-0.6b-v3"):
        assert models[key]["hub_id"].startswith("nvidia/")
        assert models[key]["fits"] is False
        assert "n'est pas installé" in models[key]["reason"]
    assert body["selection"]["chosen"] == "pocketsphinx"


@pytest.mark.parametrize("action", ["load", "download"])
def test_a_model_without_its_engine_is_refused_at_once(client: FlaskClient, action: str) -> None:
    answer = client.post(f"/api/models/canary-180m-flash/{action}")
    assert (answer.status_code, answer.json["error"]["code"]) == (501, "engine_not_installed")
    models = {model["key"]: model["state"] for model in client.get("/api/models").json["models"]}
    assert models["canary-180m-flash"] == "idle"


@pytest.mark.parametrize("name", ["whisper-large", "canary-1b-v2"])
def test_a_chosen_model_that_cannot_run_is_refused_at_start_by_its_variable(name: str) -> None:
    with pytest.raises(SettingsError, match="ASR_MODEL"):
        create_app(load(AsrSettings, asr_model=name))


@pytest.mark.parametrize("name", ["embedded", "auto", "demo"])
def test_aliases_and_auto_choose_the_embedded_engine(name: str) -> None:
    from asr.models import build_registry

    assert build_registry(load(AsrSettings, asr_model=name)).selection.chosen == "pocketsphinx"


def test_a_wrong_engine_name_is_refused() -> None:
    with pytest.raises(SettingsError, match="ASR_ENGINE"):
        load(AsrSettings, asr_engine="whisper")


def test_the_service_imports_no_torch() -> None:
    code = "import asr.factory, asr.engines.embedded.engine, common.audio.vad, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
