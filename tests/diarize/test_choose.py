"""What `auto` chooses on usual machines, and how an image is given its models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diarize import choose, download_models


def chosen(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """The model's key, and every model by key."""
    assert choose.main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    return said["chosen"], {model["key"]: model for model in said["models"]}


@pytest.mark.parametrize(
    ("machine", "token", "key"),
    [
        (("--memory", "512M"), "hf_x", "resemblyzer"),
        (("--memory", "2G"), "hf_x", "pyannote-community-1"),
        (("--memory", "2G"), "", "resemblyzer"),
        (("--memory", "8G", "--vram", "8G"), "hf_x", "pyannote-community-1"),
        (("--memory", "8G", "--offline"), "hf_x", "resemblyzer"),
    ],
)
def test_auto(
    machine: tuple[str, ...],
    token: str,
    key: str,
    engines: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engines("pyannote")
    monkeypatch.setenv("HUGGINGFACE_TOKEN", token)
    found, models = chosen(capsys, *machine, "--no-hub")
    assert found == key
    if not token:
        assert "HUGGINGFACE_TOKEN" in models["pyannote-community-1"]["reason"]


@pytest.mark.usefixtures("engines")
def test_without_its_engine_pyannote_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    found, models = chosen(capsys, "--memory", "8G", "--no-hub")
    assert found == "resemblyzer"
    assert "MOTEURS=pyannote" in models["pyannote-3.1"]["reason"]
    assert choose.main(["--model", "community-1"]) == 2
    assert "DIARIZE_MODEL" in capsys.readouterr().err


@pytest.mark.usefixtures("engines")
def test_the_embedded_model_is_made_by_the_same_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert download_models.main(["--model", "embedded"]) == 0
    assert "resemblyzer : prêt" in capsys.readouterr().out
    assert any((tmp_path / "data" / "models").iterdir())
    assert download_models.main(["--model", "resemblyzer", "--model", "community-1"]) == 1
    said = capsys.readouterr().out
    assert "resemblyzer : déjà là." in said
    assert "MOTEURS=pyannote" in said
