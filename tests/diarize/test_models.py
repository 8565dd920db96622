"""Which models diarize lists, which it can run, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
from flask.testing import FlaskClient

from common.settings import SettingsError, load
from diarize.factory import create_app
from diarize.settings import DiarizeSettings


@pytest.mark.usefixtures("engines")
def test_the_catalogue_is_honest_about_what_can_run(client: FlaskClient) -> None:
    models = {model["key"]: model for model in client.get("/api/models").json["models"]}
    assert (models["resemblyzer"]["state"], models["resemblyzer"]["fits"]) == ("ready", True)
    for key in ("pyannote-community-1", "pyannote-3.1"):
        assert models[key]["gated"] is True
        assert models[key]["fits"] is False
        assert "MOTEURS=pyannote" in models[key]["reason"]


@pytest.mark.usefixtures("engines")
def test_a_model_without_its_engine_is_refused_at_once(client: FlaskClient) -> None:
    answer = client.post("/api/models/pyannote-3.1/load")
    assert (answer.status_code, answer.json["error"]["code"]) == (501, "engine_not_installed")


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("name", ["pyannote-3.1", "kaldi"])
def test_a_chosen_model_that_cannot_run_is_refused_at_start_by_its_variable(name: str) -> None:
    with pytest.raises(SettingsError, match="DIARIZE_MODEL"):
        create_app(load(DiarizeSettings, diarize_model=name))


def test_the_service_imports_neither_torch_nor_the_wheels_it_reads() -> None:
    code = (
        "import diarize.factory, diarize.engines.embedded.engine, sys;"
        "print([m for m in ('torch', 'resemblyzer', 'silero_vad', 'librosa') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
