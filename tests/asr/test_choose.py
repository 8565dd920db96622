"""What `auto` chooses on usual machines, and what `python -m asr.choose` shows of it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asr import choose, download_models
from asr.choose import AsrChoose
from asr.models import speech
from asr.settings import AsrSettings
from common.settings import load
from tests.conftest import ROOT
from tests.hub_server import Fault, HubServer

NANO = "nvidia/canary-180m-flash"


def chosen(
    capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0
) -> tuple[str, dict[str, dict[str, Any]], dict[str, Any]]:
    """The model's key, every model by key, and all that was said."""
    assert choose.main([*arguments, "--json"]) == status
    said = json.loads(capsys.readouterr().out)
    return said["chosen"], {model["key"]: model for model in said["models"]}, said


@pytest.mark.parametrize(
    ("machine", "installed", "key"),
    [
        ("512M", ("nemo", "transformers"), "pocketsphinx"),
        ("2G", ("nemo", "transformers"), "whisper-small"),
        ("2G", ("nemo",), "pocketsphinx"),
        ("4G", ("nemo",), "canary-180m-flash"),
        ("8G", ("nemo", "transformers"), "parakeet-tdt-0.6b-v3"),
        ("8G", ("nemo",), "parakeet-tdt-0.6b-v3"),
        ("8G", ("transformers",), "parakeet-tdt-0.6b-v3"),
        ("64G", ("nemo", "transformers"), "parakeet-tdt-0.6b-v3"),  # canary-1b-v2 wants a GPU
        ("64G", (), "pocketsphinx"),
    ],
)
def test_auto_without_a_gpu(
    machine: str,
    installed: tuple[str, ...],
    key: str,
    engines: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engines(*installed)
    monkeypatch.setenv("IA_USE_GPU", "false")
    found, models, said = chosen(capsys, "--memory", machine, "--no-hub")
    assert found == key
    assert all(
        model["reason"] for model in models.values() if model["rank"] and model["rank"] < (models[key]["rank"] or 9)
    )
    assert said["meanwhile"] == (None if key == "pocketsphinx" else "pocketsphinx")


@pytest.mark.parametrize("installed", [("nemo",), ("transformers",), ("nemo", "transformers")])
@pytest.mark.parametrize("vram", ["8G", "24G"])
def test_auto_with_a_gpu_is_the_best_french(
    vram: str, installed: tuple[str, ...], engines: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    engines(*installed)
    found, models, _said = chosen(capsys, "--memory", "32G", "--vram", vram, "--no-hub")
    assert found == "canary-1b-v2"
    assert models[found]["how"] == f"{installed[0]}, GPU"


def test_a_gpu_without_room_leaves_the_best_to_others(
    engines: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    engines("nemo")
    found, models, _said = chosen(capsys, "--memory", "32G", "--vram", "2G", "--no-hub")
    assert found == "parakeet-tdt-0.6b-v3"
    assert models[found]["how"] == "nemo, processeur"
    assert "GPU" in models["canary-1b-v2"]["reason"]


def test_without_the_hub_or_offline_only_what_is_here_counts(
    engines: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    engines("nemo")
    for arguments, words in (([], "ne répond pas"), (["--offline"], "HF_HUB_OFFLINE")):
        found, models, _said = chosen(capsys, "--memory", "32G", *arguments)
        assert found == "pocketsphinx"
        assert words in models["canary-180m-flash"]["reason"]


def test_a_model_that_is_named_may_run_where_auto_would_not(
    engines: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engines("nemo")
    monkeypatch.setenv("IA_USE_GPU", "false")
    found, _models, said = chosen(capsys, "--model", "canary", "--memory", "16G")
    assert (found, said["refused"]) == ("canary-1b-v2", None)
    _found, _models, said = chosen(capsys, "--model", "canary", "--memory", "512M", status=2)
    assert "canary-1b-v2 demande environ" in said["refused"]


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--model", "nonsense"], "ASR_MODEL"), (["--model", "canary-180m"], "MOTEURS=nemo"),
     (["--model", "canary", "--engine", "embedded"], "ASR_ENGINE=embedded")],
)  # fmt: skip
def test_a_refused_choice_says_so(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert choose.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_the_table_needs_no_machine(engines: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    engines("nemo", "transformers")
    assert choose.main(["--table"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(AsrChoose.machines)
    assert rows[-1].split("**")[1] == "canary-1b-v2"


# --- python -m asr.download_models --------------------------------------------------------------------------------


@pytest.fixture
def hub(engines: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    engines("nemo")
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "canary-180m-flash.nemo").write_bytes(random.Random(7).randbytes(700_000))
    (folder / "README.md").write_text("# Canary", encoding="utf-8")
    server = HubServer({NANO: folder, "someone/tuned": folder}).start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    yield server
    server.stop()


def test_an_image_is_given_its_models_and_lists_them(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.append(Fault(".nemo", cut_after=300_000, times=1))
    assert download_models.main(["--model", "canary-180m", "--model", "someone/tuned", "--model", "demo"]) == 0
    said = capsys.readouterr().out
    assert "canary-180m-flash : prêt (0,001 Go)." in said
    assert "pocketsphinx : déjà là." in said
    assert [span != "" for span in hub.ranges_of(".nemo")] == [False, True, False]  # one is taken up again
    assert not hub.ranges_of("README.md")
    hub.stop()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert download_models.main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == ["canary-180m-flash", "pocketsphinx", "someone/tuned"]
    assert chosen(capsys, "--memory", "8G")[0] == "canary-180m-flash"
    found, models, _said = chosen(capsys, "--model", "someone/tuned", "--memory", "8G")
    assert (found, models[found]["here"], models[found]["how"]) == ("someone/tuned", True, "nemo, processeur")
    assert choose.main(["--model", "parakeet"]) == 2
    assert "canary-180m-flash, pocketsphinx" in capsys.readouterr().err


def test_a_model_whose_engine_is_absent_is_not_fetched(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENGINES_DIR", str(tmp_path / "none"))
    assert download_models.main(["--model", "canary-180m"]) == 1
    assert "MOTEURS=nemo" in capsys.readouterr().out
    assert hub.seen == []


def test_a_nemo_file_is_a_model(engines: Callable[..., None], tmp_path: Path) -> None:
    engines("nemo")
    (tmp_path / "mine.nemo").write_bytes(bytes(1000))
    service = speech(load(AsrSettings, asr_model=str(tmp_path / "mine.nemo")))
    catalogue, loader = service.catalogue(), service.loader()
    entry = catalogue.resolve(service.choose(catalogue, loader).chosen)
    assert (entry.key, loader.here(entry)) == ("mine", True)
    assert loader.judge(entry).reason is None


def test_the_command_imports_no_engine() -> None:
    code = (
        "import sys; from asr.choose import main; main(['--no-hub', '--json']);"
        "sys.exit(bool({'torch', 'transformers', 'nemo', 'huggingface_hub', 'pocketsphinx'} & set(sys.modules)))"
    )
    env = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
