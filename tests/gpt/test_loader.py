"""What gpt says of a model before loading it: whole or not, how much memory, whether it fits."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from common.errors import ApiError
from common.hub.hub import Hub
from common.machine.resources import Resources
from common.models.catalogue import ModelEntry
from gpt.choose import load_models
from gpt.folders import describe, whole
from gpt.loader import GptLoader
from tests.gpt.conftest import settings_for


@pytest.fixture
def loader(tmp_path: Path) -> GptLoader:
    return GptLoader(Hub(cache_dir=tmp_path / "cache"), settings_for("auto", tmp_path / "cache"), isolate=False)


def entry(path: Path | None = None, parameters: int = 0) -> ModelEntry:
    return ModelEntry(key="m", family="llama", parameters=parameters, licence="MIT", path=path)


def test_a_folder_is_whole_with_all_its_shards(tiny_llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "m")
    assert whole(folder)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert not whole(folder)
    for shard in index["weight_map"].values():
        shutil.copy(folder / "model.safetensors", folder / shard)
    assert whole(folder)
    (folder / "tokenizer.json").unlink()
    assert not whole(folder)


def test_the_facts_are_read_from_headers(tiny_llama: Path, shared_data: Path) -> None:
    facts = describe(shared_data / "models" / "stories260K" / "hf")
    assert facts is not None
    assert (facts.family, facts.context) == ("llama", 512)
    assert 250_000 < facts.parameters < 300_000
    assert facts.kv_values_per_token == 2 * 5 * 4 * 8
    assert describe(tiny_llama.parent) is None


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, b"\x07" + bytes(7) + b"[1,2,3]", b"\x07" + bytes(7) + b'{"a":1}']
)
def test_a_file_that_is_not_safetensors_tells_nothing(tiny_llama: Path, tmp_path: Path, content: bytes) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "m")
    (folder / "model.safetensors").write_bytes(content)
    assert describe(folder) is None


def test_what_does_not_fit_is_told_with_both_numbers(loader: GptLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    there_is = Resources(8 * 10**9, 2 * 10**9, 2.0)
    monkeypatch.setattr("gpt.loader.read_resources", lambda **_asked: there_is)
    assert loader.unfit(entry(parameters=10**8)) is None
    refused = loader.unfit(entry(parameters=7 * 10**9))
    assert refused is not None
    assert "2,00" in str(refused)
    assert re.search(r"\b[7-9],\d\d Go", str(refused))
    assert loader.unfit(entry(parameters=7 * 10**9), freed=20 * 10**9) is None
    assert loader.need_bytes(entry()) is None


def test_a_light_engine_is_given_the_longest_conversation_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CTranslate2 computes a prompt in one piece: its attention scores alone would take 60 GB for 32,768 tokens."""
    settings = settings_for("auto", tmp_path, ia_engine="ctranslate2")
    loader = GptLoader(Hub(cache_dir=tmp_path), settings, isolate=False)
    known = load_models().resolve("qwen2.5-0.5b")
    contexts = []
    for gigabytes in (2, 24, 400):
        monkeypatch.setattr(
            "gpt.loader.read_resources", lambda have=gigabytes * 10**9, **_asked: Resources(have, have, 2.0)
        )
        contexts.append(loader._options(known, {}).context or 0)
    assert 2048 < contexts[0] < contexts[1] < contexts[2] == 32_768


def test_a_folder_that_is_not_whole_is_not_loaded(loader: GptLoader, tmp_path: Path) -> None:
    assert not loader.downloaded(entry(tmp_path))
    for act in (
        lambda: loader.load(entry(tmp_path), {}),
        lambda: loader.download(entry(tmp_path), lambda _a, _b: None, lambda: False),
    ):
        with pytest.raises(ApiError) as refused:
            act()
        assert refused.value.code == "model_unusable"


def test_a_gpu_that_is_not_here_is_refused_when_it_is_asked_for(loader: GptLoader, tiny_llama: Path) -> None:
    with pytest.raises(ApiError) as refused:
        loader.load(entry(tiny_llama), {"gpu_device_ids": [7]})
    assert (refused.value.status, refused.value.param) == (400, "gpu_device_ids")
    assert "7" in str(refused.value.message)
