"""IA_MODEL is obeyed or refused, never replaced."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.machine.gpus import Gpu
from common.machine.resources import Resources
from common.models.choose_command import size
from common.models.registry import Registry
from common.settings import SettingsError, load
from gpt import choose_table
from gpt.choose import choose, create_machine, load_models, refuse_absent_gpus
from gpt.choose_table import Blindfolded
from gpt.factory import create_app, create_loader
from gpt.settings import GptSettings
from tests.gpt.conftest import settings_for


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("auto", "frigo-mini"),
        ("", "frigo-mini"),
        ("embedded", "frigo-mini"),
        ("gpt2", "gpt2"),
        ("phi", "phi-2"),
        ("phi2", "phi-2"),
        ("Mistral", "mistral-7b"),
        ("qwen", "qwen3-vl-30b"),
        ("openai-community/gpt2", "gpt2"),
        ("someone/some-model", "someone/some-model"),
    ],
)
def test_names_and_what_they_choose(name: str, key: str, tmp_path: Path) -> None:
    catalogue = load_models()
    selection = choose(settings_for(name, tmp_path), catalogue)
    assert selection.chosen == key
    assert selection.chosen in catalogue.entries
    assert str(selection.why)


def test_the_catalogue_holds_what_was_promised() -> None:
    promised = (
        "frigo-mini gpt2 distilgpt2 gpt2-medium gpt2-large phi-2 mistral-7b vigostral neural-chat smollm2-135m "
        "smollm2-360m qwen2.5-0.5b qwen2.5-1.5b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-vl-30b"
    )
    catalogue = load_models()
    assert set(promised.split()) <= set(catalogue.entries)
    for entry in catalogue:
        assert entry.embedded or (entry.hub_id and entry.parameters > 10**7 and entry.context >= 1024), entry.key
        assert entry.licence


def test_a_folder_is_described_from_its_files(tiny_llama: Path, tmp_path: Path) -> None:
    catalogue = load_models()
    selection = choose(settings_for(tiny_llama, tmp_path), catalogue)
    entry = catalogue.resolve(selection.chosen)
    assert (entry.path, entry.family, entry.context) == (tiny_llama.resolve(), "llama", 256)
    assert 20_000 < entry.parameters < 60_000


def test_a_folder_that_has_a_known_name_is_still_that_folder(tiny_llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "gpt2")
    catalogue = load_models()
    selection = choose(settings_for(folder, tmp_path), catalogue)
    assert catalogue.resolve(selection.chosen).path == folder.resolve()
    assert catalogue.resolve("gpt2").hub_id == "openai-community/gpt2"


@pytest.mark.parametrize("name", ["nonsense", "/nowhere/at/all", "a/b/c", "http:x"])
def test_a_name_that_is_nothing_is_refused_by_the_variable(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="IA_MODEL"):
        choose(settings_for(name, tmp_path), load_models())


def test_a_folder_without_a_model_is_refused_by_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="IA_MODEL"):
        choose(settings_for(tmp_path, tmp_path), load_models())


@pytest.mark.parametrize(
    ("name", "value"), [("IA_ENGINE", "magic"), ("HF_ENDPOINT", "huggingface.co"), ("IA_USE_GPU", "maybe")]
)
def test_a_wrong_value_names_its_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load(GptSettings)


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MODEL_CACHE_DIR", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert load(GptSettings).cache_dir == tmp_path / "hub"
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "models"))
    assert load(GptSettings).cache_dir == tmp_path / "models"


GB = 10**9
ROOT = Path(__file__).resolve().parents[2]


def test_auto_without_a_hub_is_the_embedded_model_and_says_why(tmp_path: Path) -> None:
    selection = choose(settings_for("auto", tmp_path), load_models())
    assert selection.chosen == "frigo-mini"
    reasons = {one["key"]: str(one["reason"]) for one in selection.rejected}
    assert "hub" in reasons["qwen2.5-0.5b"]
    assert "Go" in reasons["qwen3-vl-30b"]
    assert set(reasons) == set(load_models().entries) - {"frigo-mini"}


def test_auto_takes_what_is_on_disk_when_there_is_no_hub(tiny_gpt2: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--openai-community--gpt2" / "snapshots" / ("a" * 40)
    shutil.copytree(tiny_gpt2, snapshot)
    (tmp_path / "models--openai-community--gpt2" / "refs").mkdir()
    (tmp_path / "models--openai-community--gpt2" / "refs" / "main").write_text("a" * 40, encoding="ascii")
    for offline in (False, True):
        selection = choose(settings_for("auto", tmp_path, hf_hub_offline=offline), load_models())
        assert (selection.chosen, selection.meanwhile) == ("gpt2", None)
    with pytest.raises(SettingsError, match=r"HF_HUB_OFFLINE.*frigo-mini, gpt2"):
        choose(settings_for("distilgpt2", tmp_path, hf_hub_offline=True), load_models())


@pytest.mark.parametrize(
    ("gigabytes", "key"),
    [(0.25, "frigo-mini"), (0.46, "frigo-mini"), (2, "qwen2.5-0.5b"), (4, "qwen2.5-1.5b"), (24, "qwen3-4b")],
)
def test_auto_grows_with_the_memory(gigabytes: float, key: str, tmp_path: Path) -> None:
    settings = settings_for("auto", tmp_path, ia_engine="ctranslate2")
    have = Resources(int(gigabytes * GB), int(gigabytes * GB), 2.0)
    machine = create_machine(settings, resources=lambda: have, kind=Blindfolded)
    assert choose(settings, load_models(), machine).chosen == key


def test_another_server_is_named_by_its_address(tmp_path: Path) -> None:
    catalogue = load_models()
    selection = choose(settings_for("http://127.0.0.1:11434/v1#llama3.2", tmp_path), catalogue)
    entry = catalogue.resolve(selection.chosen)
    assert (entry.engine, entry.hub_id, entry.path) == ("remote", None, None)
    assert entry.url is not None
    assert "127.0.0.1:11434" in entry.url
    assert "url" not in entry.model_dump()
    assert selection.meanwhile is None
    with pytest.raises(SettingsError, match="IA_MODEL"):
        choose(settings_for("http://#llama3.2", tmp_path), load_models())


def test_a_nanochat_folder_is_opened_by_its_engine(shared_data: Path, tmp_path: Path) -> None:
    folder = next((shared_data / "nanochat").glob("oracle-2026*")) / "base_checkpoints" / "d4"
    catalogue = load_models()
    entry = catalogue.resolve(choose(settings_for(folder, tmp_path, ia_engine="auto"), catalogue).chosen)
    assert (entry.engine, entry.family, entry.context, entry.path) == ("nanochat", "nanochat", 256, folder.resolve())


def test_the_nanochat_engine_opens_nothing_else(tiny_gpt2: Path, tmp_path: Path) -> None:
    for model in ("gpt2", "frigo-mini", str(tiny_gpt2)):
        with pytest.raises(SettingsError, match="IA_ENGINE=nanochat"):
            choose(settings_for(model, tmp_path, ia_engine="nanochat"), load_models())


def test_a_gpu_that_is_not_here_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(**more: object) -> None:
        refuse_absent_gpus(settings_for("auto", tmp_path, gpu_device_ids=[0, 2], **{"ia_use_gpu": True, **more}))

    for here, words in (((), "aucun"), ((0, 1), "pas de GPU 2 ; il y a 0, 1")):
        cards = tuple(Gpu(index, "GPU", GB, GB) for index in here)
        monkeypatch.setattr("common.models.asked_gpus.read_gpus", lambda cards=cards: cards)
        with pytest.raises(SettingsError, match="GPU_DEVICE_IDS") as refused:
            ask()
        assert words in str(refused.value)
        ask(ia_use_gpu=False)
        ask(vllm_ray_address="auto")
    cards = tuple(Gpu(index, "GPU", GB, GB) for index in range(3))
    monkeypatch.setattr("common.models.asked_gpus.read_gpus", lambda: cards)
    ask()


def test_four_bits_go_to_an_engine_that_knows_them(tiny_gpt2: Path, tmp_path: Path) -> None:
    settings = settings_for(tiny_gpt2, tmp_path, ia_engine="auto", ia_quantization="nf4")
    catalogue = load_models()
    entry = catalogue.resolve(choose(settings, catalogue).chosen)
    assert create_loader(settings).engine(entry) == "transformers"
    any_precision = create_loader(settings_for(tiny_gpt2, tmp_path, ia_engine="auto"))
    assert [any_precision.engine(entry), any_precision.engine(entry, "nf4")] == ["ctranslate2", "transformers"]
    with pytest.raises(SettingsError, match="nf4"):
        choose(
            settings_for(tiny_gpt2, tmp_path, ia_engine="ctranslate2", ia_quantization="nf4"),
            load_models(),
        )


def test_the_decision_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Registry, "start", lambda _self: None)
    create_app(settings_for("auto", tmp_path))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["message"] == "model chosen"]
    assert line["model"] == "frigo-mini"
    assert line["why"]
    assert any(one.startswith("qwen3-4b: ") for one in line["rejected"])


# --- python -m gpt.choose ----------------------------------------------------------------------------------------


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("IA_MODEL", "IA_ENGINE", "IA_QUANTIZATION", "HF_HUB_OFFLINE", "HUGGINGFACE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.usefixtures("no_hub")
def test_the_decision_is_shown_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert choose_table.main(["--memory", "2G", "--no-hub", "--engine", "ctranslate2"]) == 0
    said = capsys.readouterr().out
    assert "2,15 Go de mémoire" in said
    assert "Choisi  : qwen2.5-0.5b" in said
    rows = [line for line in said.splitlines() if line.startswith("→")]
    assert len(rows) == 1
    assert "qwen2.5-0.5b" in rows[0]
    assert all(key in said for key in load_models().entries)


@pytest.mark.usefixtures("no_hub")
def test_a_named_model_that_is_too_big_is_shown_refused(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "phi-2", "--memory", "512M", "--no-hub", "--engine", "ctranslate2"]
    assert choose_table.main(arguments) == 2
    said = capsys.readouterr().out
    assert "Refusé  : phi-2 demande environ 3,51 Go de mémoire" in said
    assert "moins bien classé" not in said
    assert choose_table.main([*arguments, "--json"]) == 2
    shown = json.loads(capsys.readouterr().out)
    assert "3,51" in shown["refused"]
    assert choose_table.main(["--model", "gpt2", "--memory", "512M", "--no-hub", "--engine", "ctranslate2"]) == 0
    assert "Refusé" not in capsys.readouterr().out


@pytest.mark.usefixtures("no_hub")
def test_the_decision_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert choose_table.main(["--memory", "16G", "--vram", "8G", "--gpus", "2", "--no-hub", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["chosen"] == "qwen3-4b"
    assert [gpu["free_bytes"] for gpu in said["machine"]["gpus"]] == [8 * 2**30] * 2
    models = {model["key"]: model for model in said["models"]}
    assert models["qwen3-4b"]["chosen"]
    assert models["qwen3-vl-30b"]["reason"]
    assert models["gpt2"]["reason"] is None


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("arguments", "words"), [(["--model", "nonsense"], "IA_MODEL"), (["--model", "gpt2", "--offline"], "frigo-mini")]
)
def test_a_refused_choice_says_so(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert choose_table.main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.usefixtures("no_hub")
def test_the_published_table_needs_no_machine(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.machine.disk.free_bytes", lambda _folder: 0)
    assert choose_table.main(["--table"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(choose_table.GptChoose.machines)
    assert all(row.count("|") == 7 for row in rows)
    chosen = [row.split("**")[1] for row in rows[2:]]
    assert chosen[-1] == "qwen3-vl-30b"
    order = {entry.key: entry.rank or 99 for entry in load_models()}
    assert [order[key] for key in chosen[:6]] == sorted((order[key] for key in chosen[:6]), reverse=True)


@pytest.mark.usefixtures("no_hub")
def test_choosing_imports_no_engine() -> None:
    code = (
        "import sys; from gpt.choose_table import main; main(['--no-hub', '--json']);"
        "sys.exit(bool({'torch', 'transformers', 'ctranslate2', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "count"),
    [("512M", 512 * 2**20), ("1.5G", 3 * 2**29), ("24 Go", 24 * 2**30), ("8GiB", 2**33), ("100", 100)],
)
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "much", "-1G", "1X"])
def test_a_wrong_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        size(text)
