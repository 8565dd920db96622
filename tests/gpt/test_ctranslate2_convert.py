"""The converter: every family against transformers, what it refuses, and what it leaves on disk."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import ApiError
from gpt.engines.ctranslate2 import convert as convert_module
from gpt.engines.ctranslate2.convert import converted, converted_apart
from gpt.engines.ctranslate2.families import FAMILIES

VOCABULARY = 97
PROMPT = [5, 41, 7, 96, 12, 3, 3, 58, 20, 1, 77, 64]
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_theta": 10000.0,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 10000.0}
LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", {"vocab_size": VOCABULARY, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 128}),
    "gpt2-untied-inner": (
        "gpt2",
        {
            "vocab_size": VOCABULARY,
            "n_embd": 48,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 128,
            "n_inner": 100,
            "tie_word_embeddings": False,
            "activation_function": "relu",
        },
    ),
    "llama": ("llama", SMALL),
    "llama-gqa-tied-biases": (
        "llama",
        SMALL | {"num_key_value_heads": 2, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    ),
    "llama-one-kv-head": ("llama", SMALL | {"num_key_value_heads": 1}),
    "llama-wide-heads": ("llama", SMALL | {"num_key_value_heads": 2, "head_dim": 16}),
    "llama3-rope": ("llama", SMALL | {"num_key_value_heads": 2, "rope_parameters": LLAMA3}),
    "llama-linear-rope": ("llama", SMALL | {"rope_parameters": LINEAR}),
    "mistral": ("mistral", SMALL | {"num_key_value_heads": 2, "sliding_window": 4096}),
    "qwen2": ("qwen2", SMALL | {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "qwen2-yarn": ("qwen2", SMALL | {"num_key_value_heads": 2, "rope_parameters": YARN}),
    "qwen3": ("qwen3", SMALL | {"num_key_value_heads": 2, "head_dim": 24}),
    "qwen3-yarn": ("qwen3", SMALL | {"num_key_value_heads": 2, "head_dim": 24, "rope_parameters": YARN}),
    "phi": ("phi", SMALL | {"partial_rotary_factor": 0.5, "hidden_size": 64}),
}


def build(folder: Path, name: str, **save: Any) -> Any:
    """A random model of the family, saved; norms and biases are shaken too, or a lost one would not show."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    family, settings = MODELS[name]
    torch.manual_seed(11)
    config = AutoConfig.for_model(family, **settings, bos_token_id=0, eos_token_id=1, pad_token_id=None)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.1 if parameter.ndim == 1 else 0.15
            parameter.add_(torch.randn_like(parameter) * spread)
    dtype = save.pop("dtype", None)
    if dtype is not None:
        model = model.to(dtype)
    model.save_pretrained(folder, **save)
    return model


def logits_of(folder: Path, ids: list[int], compute: str = "float32") -> NDArray[np.float32]:
    import ctranslate2

    generator = ctranslate2.Generator(str(folder), compute_type=compute, intra_threads=1)
    return np.array(generator.forward_batch([ids]))[0]


def greedy(folder: Path, ids: list[int], count: int) -> list[int]:
    import ctranslate2

    generator = ctranslate2.Generator(str(folder), compute_type="float32", intra_threads=1)
    prompt = [[str(i) for i in ids]]
    result = generator.generate_batch(prompt, max_length=count, end_token=[], include_prompt_in_result=False)
    return list(result[0].sequences_ids[0])


def reference(model: Any, ids: list[int], count: int) -> tuple[NDArray[np.float32], list[int]]:
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0].float().numpy()
        said = model.generate(torch.tensor([ids]), max_new_tokens=count, do_sample=False, eos_token_id=None)
    return logits, said[0, len(ids) :].tolist()


@pytest.mark.parametrize("name", MODELS)
def test_every_family_computes_what_transformers_does(name: str, tmp_path: Path) -> None:
    model = build(tmp_path / "m", name)
    folder = converted(tmp_path / "m", "float32")
    expected, said = reference(model, PROMPT, 60)
    assert np.abs(logits_of(folder, PROMPT) - expected).max() < 2e-4 * max(1.0, np.abs(expected).max())
    assert greedy(folder, PROMPT, 60) == said


def test_the_families_tried_here_are_all_there_are() -> None:
    assert {family for family, _settings in MODELS.values()} == FAMILIES


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_sixteen_bit_weights_are_read_exactly(kind: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    build(tmp_path / "m", "qwen3", dtype=getattr(torch, kind))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    expected, said = reference(model, PROMPT, 30)
    folder = converted(tmp_path / "m", "float32")
    assert np.abs(logits_of(folder, PROMPT) - expected).max() < 2e-4 * max(1.0, np.abs(expected).max())
    assert greedy(folder, PROMPT, 30) == said


def test_shards_make_one_model(tmp_path: Path) -> None:
    model = build(tmp_path / "m", "llama", max_shard_size="60KB")
    assert len(list((tmp_path / "m").glob("*.safetensors"))) > 1
    folder = converted(tmp_path / "m", "float32")
    assert greedy(folder, PROMPT, 30) == reference(model, PROMPT, 30)[1]


def test_int8_is_near_and_quarters_the_file(tmp_path: Path) -> None:
    expected, _said = reference(build(tmp_path / "m", "qwen2"), PROMPT, 1)
    exact, small = converted(tmp_path / "m", "float32"), converted(tmp_path / "m", "int8")
    found = logits_of(small, PROMPT, "int8_float32")
    near = [np.corrcoef(row, other)[0, 1] for row, other in zip(found, expected, strict=True)]
    assert min(near) > 0.995
    assert (small / "model.bin").stat().st_size < 0.4 * (exact / "model.bin").stat().st_size


def test_int8_bytes_are_those_of_ctranslate2(tmp_path: Path) -> None:
    """Rounding and scales, against the library's own quantization of the float32 model."""
    build(tmp_path / "m", "llama")
    ours = logits_of(converted(tmp_path / "m", "int8"), PROMPT, "int8_float32")
    theirs = logits_of(converted(tmp_path / "m", "float32"), PROMPT, "int8_float32")
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "mystery"}, "mystery"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "dynamic"),
        ({"hidden_act": "xielu"}, "xielu"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantization_config"),
    ],
)
def test_what_is_not_known_is_refused_by_its_name(change: dict[str, Any], named: str, tmp_path: Path) -> None:
    build(tmp_path / "m", "llama")
    config = json.loads((tmp_path / "m" / "config.json").read_text()) | change
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ApiError) as refused:
        converted(tmp_path / "m", "int8")
    assert refused.value.status == 422
    assert named in str(refused.value.message)
    assert "IA_ENGINE=transformers" in str(refused.value.message)


@pytest.mark.parametrize(
    ("remove", "add", "named"),
    [
        ("model.layers.1.mlp.up_proj.weight", {}, "model.layers.1.mlp.up_proj.weight"),
        ("lm_head.weight", {}, "lm_head.weight"),
        ("", {"model.layers.0.self_attn.sinks": [4]}, "model.layers.0.self_attn.sinks"),
        ("", {"model.layers.0.self_attn.q_proj.weight": [47, 48]}, "self_attn.q_proj"),
        ("", {"model.norm.weight": [47]}, "model.norm.weight"),
    ],
)
def test_a_tensor_missing_unknown_or_misshapen_is_named(
    remove: str, add: dict[str, list[int]], named: str, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    build(tmp_path / "m", "llama")
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    tensors.pop(remove, None)
    tensors |= {name: np.ones(shape, np.float32) for name, shape in add.items()}
    save_file(tensors, tmp_path / "m" / "model.safetensors")
    with pytest.raises(ApiError) as refused:
        converted(tmp_path / "m", "int8")
    assert (refused.value.status, refused.value.code) == (422, "model_unusable")
    assert named in str(refused.value.message)
    assert not list((tmp_path / "m").glob("ctranslate2-*/model.bin"))


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "m", "llama")
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ApiError) as refused:
        converted(tmp_path / "m", "int8")
    assert refused.value.status == 422
    assert str(tmp_path) not in str(refused.value.message)


def test_a_second_time_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "m", "llama")
    first = converted(tmp_path / "m", "int8")
    monkeypatch.setattr(convert_module, "_convert", lambda *_: pytest.fail("converted again"))
    assert converted(tmp_path / "m", "int8") == first


def test_other_weights_in_the_same_folder_are_converted_anew(tmp_path: Path) -> None:
    build(tmp_path / "m", "llama")
    first = converted(tmp_path / "m", "int8")
    build(tmp_path / "m", "llama-linear-rope")
    second = converted(tmp_path / "m", "int8")
    assert second != first
    assert not first.exists()


def test_one_killed_halfway_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    model = build(tmp_path / "m", "llama")
    script = (
        "import os, sys; from pathlib import Path\n"
        "from gpt.engines.ctranslate2 import convert\n"
        "convert._write_settings = lambda *_: os._exit(9)\n"
        "convert.converted(Path(sys.argv[1]), 'float32')\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path / "m")], check=False).returncode == 9
    assert len(list((tmp_path / "m").glob("ctranslate2-*.part"))) == 1
    folder = converted(tmp_path / "m", "float32")
    assert greedy(folder, PROMPT, 20) == reference(model, PROMPT, 20)[1]
    assert not list((tmp_path / "m").glob("*.part"))


def _convert_in_child(folder: Path, said: Any) -> None:
    said.put(str(converted(folder, "int8")))


def test_two_at_once_make_one(tmp_path: Path) -> None:
    build(tmp_path / "m", "llama")
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    children = [context.Process(target=_convert_in_child, args=(tmp_path / "m", said)) for _ in range(2)]
    for child in children:
        child.start()
    assert said.get(timeout=60) == said.get(timeout=60)
    for child in children:
        child.join(30)
    assert len(list((tmp_path / "m").glob("ctranslate2-*/model.bin"))) == 1


@pytest.mark.parametrize(("read_only", "used"), [("m", "cache"), ("m cache", "data")])
def test_a_folder_that_cannot_be_written_uses_another(
    read_only: str, used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache's, or where that is part of an image, as the model is, the service's own."""
    build(tmp_path / "m", "llama")
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    fixed = {tmp_path / name for name in read_only.split()}
    monkeypatch.setattr(convert_module, "_writable", lambda base: not {base, base.parent} & fixed and _make(base))
    folder = converted(tmp_path / "m", "int8")
    assert folder.is_relative_to(tmp_path / used)
    assert converted(tmp_path / "m", "int8") == folder


def _make(base: Path) -> bool:
    base.mkdir(parents=True, exist_ok=True)
    return True


def test_a_full_disk_is_seen_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "m", "llama")
    usage = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(convert_module.shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(ApiError) as refused:
        converted(tmp_path / "m", "int8")
    assert (refused.value.status, refused.value.code) == (507, "disk_full")
    assert not list((tmp_path / "m").glob("ctranslate2-*/"))


def test_converting_imports_neither_torch_nor_transformers_and_takes_little_memory(tmp_path: Path) -> None:
    """A matrix of 64 MB goes through in blocks of 8: the peak stays far below what holding it would take."""
    from safetensors.numpy import load_file, save_file

    build(tmp_path / "m", "llama")
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    rows = 64 * 2**20 // (48 * 4)
    tensors["model.embed_tokens.weight"] = tensors["lm_head.weight"] = np.ones((rows, 48), np.float32)
    save_file(tensors, tmp_path / "m" / "model.safetensors")
    config = json.loads((tmp_path / "m" / "config.json").read_text()) | {"vocab_size": rows}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from gpt.engines.ctranslate2.convert import converted\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); converted(Path(sys.argv[1]), 'int8')\n"
        "print((peak() - before) // 1024, sorted({'torch', 'transformers', 'ctranslate2'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "m")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    megabytes, modules = done.stdout.split(" ", 1)
    assert modules.strip() == "[]"
    assert int(megabytes) < 100  # the names of 350,000 tokens take most of it


def test_a_process_of_its_own_makes_the_same_and_refuses_alike(tmp_path: Path) -> None:
    build(tmp_path / "m", "llama")
    made = converted_apart(tmp_path / "m", "int8")
    assert made == converted(tmp_path / "m", "int8") == converted_apart(tmp_path / "m", "int8")
    (tmp_path / "m" / "config.json").write_text(json.dumps({"model_type": "mystery"}))
    refusals = []
    for convert in (converted, converted_apart):
        with pytest.raises(ApiError) as refused:
            convert(tmp_path / "m", "int8")
        refusals.append((refused.value.status, refused.value.code, refused.value.message.render("fr")))  # type: ignore[union-attr]
    assert refusals[0] == refusals[1]
    assert "mystery" in refusals[0][2]


def test_a_conversion_that_is_killed_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "m", "llama")
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(convert_module.sys, "executable", str(killed))
    with pytest.raises(ApiError) as refused:
        converted_apart(tmp_path / "m", "int8")
    assert (refused.value.status, refused.value.code) == (507, "out_of_memory")
