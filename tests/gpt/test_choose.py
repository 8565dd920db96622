"""IA_MODEL is obeyed or refused, never replaced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from common.settings import SettingsError, load
from gpt.choose import choose, load_models
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
