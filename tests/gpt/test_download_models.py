"""`python -m gpt.download_models`, against a hub on loopback: what an image's build and its reader see."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.models.download_command import entry_of
from gpt import download_models
from gpt.choose import load_models
from gpt.factory import create_loader
from gpt.settings import GptSettings
from tests.conftest import ROOT
from tests.hub_server import COMMIT, Fault, HubServer

GPT2 = "openai-community/gpt2"
OTHER = "frigo-tests/tiny-gpt2"


@pytest.fixture
def hub(tiny_gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    repos = {name: shutil.copytree(tiny_gpt2, tmp_path / "repos" / name) for name in (GPT2, OTHER)}
    server = HubServer(repos).start()
    for name in ("HUGGINGFACE_TOKEN", "HF_HUB_OFFLINE", "IA_QUANTIZATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    yield server
    server.stop()


def here(tmp_path: Path, name: str = GPT2) -> Path | None:
    settings = GptSettings(model_cache_dir=tmp_path / "cache")
    entry = entry_of(name, load_models(), None)
    return create_loader(settings).folder(entry)


def test_the_command_fetches_what_an_offline_image_then_lists(hub: HubServer, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gpt.download_models"]
    run = subprocess.run(
        [*command, "--model", "GPT2", "--model", OTHER, "--model", GPT2],  # the key in any case, an id, the same again
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "gpt2 : 0,0 / 0," in run.stdout  # bytes, from the first
    assert "gpt2 : prêt (" in run.stdout
    assert f"{OTHER} : prêt (" in run.stdout
    assert len(hub.ranges_of(f"{GPT2}/resolve/{COMMIT}/model.safetensors")) == 1
    hub.stop()
    env = os.environ | {"HF_HUB_OFFLINE": "1"}
    listed = subprocess.run([*command, "--list"], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["frigo-mini", "gpt2", OTHER]


def test_a_model_that_is_there_is_not_fetched_again(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert download_models.main(["--model", "gpt2"]) == 0
    asked = len(hub.seen)
    assert download_models.main(["--model", "gpt2", "--model", "frigo-mini"]) == 0
    assert len(hub.seen) == asked
    said = capsys.readouterr().out
    assert "gpt2 : déjà là." in said
    assert "frigo-mini : déjà là." in said


def test_one_that_fails_is_named_and_the_others_are_still_tried(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults = [Fault(GPT2, 403, "GatedRepo")]
    assert download_models.main(["--model", "gpt2", "--model", OTHER]) == 1
    said = capsys.readouterr()
    assert "gpt2 : ÉCHEC — L'accès à openai-community/gpt2 est soumis à conditions" in said.out
    assert f"{hub.url}/{GPT2}" in said.out
    assert "1 modèle(s) en échec sur 2 : gpt2." in said.err
    assert here(tmp_path) is None
    assert here(tmp_path, OTHER) is not None


def test_a_model_that_the_disk_cannot_hold_is_refused_before_its_first_byte(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("common.hub.download.shutil.disk_usage", lambda _path: usage)
    assert download_models.main(["--model", "gpt2"]) == 1
    assert "Go de disque, il en reste" in capsys.readouterr().out
    assert not any("/resolve/" in path for _method, path, _span in hub.seen)


def test_files_that_make_no_whole_model_are_a_failure(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    (hub.repos[GPT2] / "tokenizer.json").unlink()
    assert download_models.main(["--model", "gpt2"]) == 1
    assert "complet" in capsys.readouterr().out


def test_a_revision_is_what_gpt_then_serves_under_the_models_name(hub: HubServer, tmp_path: Path) -> None:
    assert download_models.main(["--model", "gpt2", "--revision", COMMIT]) == 0
    assert f"/revision/{COMMIT}?" in hub.seen[0][1]
    folder = here(tmp_path)  # asks for "main"
    assert folder is not None
    assert folder.name == COMMIT


def test_conversion_leaves_what_the_light_engine_opens(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gpt.engines.ctranslate2.convert import converted

    assert download_models.main(["--model", "gpt2", "--convert"]) == 0
    folder = here(tmp_path)
    assert folder is not None
    [model] = folder.glob("ctranslate2-*/model.bin")
    assert converted(folder, "float32") == model.parent  # what a tiny model gets; found, not made again
    assert "gpt2 : converti (" in capsys.readouterr().out
    assert download_models.main(["--list"]) == 0
    assert "converti" in capsys.readouterr().out
    assert hub.ranges_of("/model.safetensors") == [""]


def test_an_adapter_can_be_put_in_an_image_too(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lora"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}', encoding="utf-8")
    (folder / "adapter_model.safetensors").write_bytes(bytes(100))
    hub.repos["frigo-tests/lora"] = folder
    assert download_models.main(["--model", "frigo-tests/lora", "--convert"]) == 0
    assert download_models.main(["--list"]) == 0
    assert "frigo-tests/lora, adaptateur" in capsys.readouterr().out
    asked = len(hub.seen)
    assert download_models.main(["--model", "frigo-tests/lora"]) == 0
    assert len(hub.seen) == asked


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "aucun modèle nommé"),
        (["--model", "gpt-9000"], "modèle inconnu « gpt-9000 »"),
        (["--model", "../etc"], "modèle inconnu"),
        (["--model", "a/../b"], "modèle inconnu"),
        (["--model"], "une valeur est attendue"),
        (["--modle", "gpt2"], "option inconnue"),
        (["--mod", "gpt2"], "option inconnue"),
    ],
)
def test_a_wrong_command_is_refused_in_french(
    hub: HubServer, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    try:
        status: int | str | None = download_models.main(arguments)
    except SystemExit as stopped:  # argparse's way
        status = stopped.code
    assert status == 2
    assert said in capsys.readouterr().err
    assert hub.seen == []


@pytest.mark.parametrize("variable", ["HUGGINGFACE_TOKEN", "HUGGINGFACE_TOKEN_FILE"])
def test_the_token_comes_from_its_variable_or_from_a_file(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    hub.token = "hf_secret_of_the_test"
    file = tmp_path / "secret"
    file.write_text(f"{hub.token}\n", encoding="utf-8")
    monkeypatch.setenv(variable, str(file) if variable.endswith("_FILE") else hub.token)
    assert download_models.main(["--model", "gpt2"]) == 0
    assert set(hub.tokens) == {f"Bearer {hub.token}"}
    said = capsys.readouterr()
    assert hub.token not in said.out + said.err


def test_a_wrong_variable_is_named(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "huggingface.co")
    assert download_models.main(["--model", "gpt2"]) == 2
    assert "HF_ENDPOINT" in capsys.readouterr().err
    assert hub.seen == []
