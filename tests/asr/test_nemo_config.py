"""The configuration in a `.nemo` archive is data: what would run something, or read something, is refused."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from asr.engines.nemo.archive import CONFIG, WEIGHTS
from asr.engines.nemo.config import read_config
from common.errors import ApiError

CANARY: dict[str, Any] = {
    "target": "nemo.collections.asr.models.aed_multitask_models.EncDecMultiTaskModel",
    "nemo_version": "2.4.0",
    "sample_rate": 16000,
    "prompt_format": "canary2",
    "prompt_defaults": [{"role": "user", "slots": {"source_lang": "<|en|>", "emotion": "<|emo:undefined|>"}}],
    "tokenizer": {
        "type": "agg",
        "dir": None,
        "langs": {
            "spl_tokens": {"dir": "/data/spl", "type": "bpe", "model_path": "nemo:a1_tokenizer.model"},
            "fr": {
                "dir": "/data/fr",
                "type": "bpe",
                "model_path": "nemo:b2_tokenizer.model",
                "vocab_path": "nemo:b2_vocab.txt",
                "spe_tokenizer_vocab": "nemo:absent.vocab",
            },
        },
        "custom_tokenizer": {"_target_": "nemo.collections.common.tokenizers.canary_tokenizer.CanaryTokenizer"},
    },
    "preprocessor": {"_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor", "features": 128},
    "encoder": {"_target_": "nemo.collections.asr.modules.ConformerEncoder", "d_model": "${model_defaults.hidden}"},
    "model_defaults": {"hidden": 512},
    "transf_decoder": {"_target_": "nemo.collections.asr.modules.transformer.get_nemo_transformer"},
    "decoding": {"strategy": "beam", "beam": {"beam_size": 4, "max_generation_delta": 30, "ngram_lm_model": "/lm"}},
    "train_ds": {"_target_": "whatever.Trains", "manifest_filepath": "/data/train.json"},
    "optim": {"name": "adamw", "sched": {"_target_": "evil.Sched"}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (WEIGHTS, "a1_tokenizer.model", "b2_tokenizer.model", "b2_vocab.txt"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def given(folder: Path, **changes: Any) -> Path:
    """Canary's configuration, with what is at these dotted places changed."""
    tree = copy.deepcopy(CANARY)
    for place, value in changes.items():
        node = tree
        *path, last = place.split("__")
        for key in path:
            node = node[key]
        node[last] = value
    (folder / CONFIG).write_text(yaml.safe_dump(tree))
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(ApiError) as refused:
        read_config(folder, CONFIG)
    assert (refused.value.status, refused.value.code) == (422, "model_unusable")
    return str(refused.value.message)


def test_canarys_is_taken_without_what_only_training_needs(folder: Path) -> None:
    found = read_config(given(folder), CONFIG)
    assert (found.kind, found.model) == ("canary", "EncDecMultiTaskModel")
    assert found.tree["target"] == "nemo.collections.asr.models.EncDecMultiTaskModel"
    assert found.tree["encoder"] == CANARY["encoder"]
    assert not {"train_ds", "optim"} & set(found.tree)
    assert found.tree["restore_timestamps_model"] is False
    french = found.tree["tokenizer"]["langs"]["fr"]
    assert french["model_path"] == str(folder / "b2_tokenizer.model")
    assert french["dir"] == str(folder)
    assert "spe_tokenizer_vocab" not in french
    assert "/data" not in str(found.tree)


def test_decoding_keeps_its_length_bound_and_no_language_model(folder: Path) -> None:
    decoding = read_config(given(folder), CONFIG).tree["decoding"]
    assert decoding["strategy"] == "greedy"
    assert decoding["greedy"]["max_generation_delta"] == 30
    assert "lm" not in str(decoding)


def test_a_configuration_that_would_run_a_command_is_refused_and_runs_nothing(folder: Path, tmp_path: Path) -> None:
    """Built by Hydra, this one runs the command: shown where Hydra is, refused here in any case."""
    proof = tmp_path / "ran"
    given(folder, encoder={"_target_": "os.system", "command": f"touch {proof}"})
    assert "os.system" in refusal(folder)
    assert not proof.exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "torch.load",
        "torch.hub.load",
        "nemo.utils.model_utils.import_class_by_path",
        "nemo.collections.asr.models.ASRModel.restore_from",
        "nemo.collections.asr.modules.ConformerEncoder.__init__.__globals__",
        "nemo.collections.asr.parts.utils.transcribe_utils.os.system",
        "nemo.collections.common.tokenizers.AutoTokenizer",
        " nemo.collections.asr.modules.ConformerEncoder",
        "${model_defaults.hidden}",
        ["os.system"],
        None,
        7,
    ],
)
@pytest.mark.parametrize("place", ["encoder___target_", "model_defaults__deep", "prompt_defaults", "tokenizer__custom"])
def test_no_other_callable_can_be_named_anywhere(folder: Path, place: str, target: Any) -> None:
    value = target if place.endswith("_target_") else [{"deep": {"_target_": target}}]
    refusal(given(folder, **{place: value}))


@pytest.mark.parametrize("key", ["cls", "target", "_args_", "_partial_", "_convert_", "_recursive_"])
def test_hydras_other_ways_to_call_are_refused(folder: Path, key: str) -> None:
    refusal(given(folder, encoder__extra={key: "os.system", "params": {}}))


@pytest.mark.parametrize(
    "text", ["${oc.env:HUGGINGFACE_TOKEN}", "${oc.decode:x}", "a ${model_defaults.hidden} b", "${${a}:b}", "${ns:x}"]
)
def test_interpolations_that_call_something_are_refused(folder: Path, text: str) -> None:
    refusal(given(folder, encoder__d_model=text))


@pytest.mark.parametrize(
    "target", ["os.system", "nemo.collections.tts.models.FastPitchModel", "", None, 3, ["x"], "EncDecMultiTaskModel"]
)
def test_only_known_models_of_speech_are_built(folder: Path, target: Any) -> None:
    refusal(given(folder, target=target))


def test_pythons_own_objects_in_yaml_are_refused(folder: Path, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    (folder / CONFIG).write_text(f'target: !!python/object/apply:os.system ["touch {proof}"]\n')
    assert "illisible" in refusal(folder)
    assert not proof.exists()


def test_a_billion_laughs_are_refused_in_a_moment(folder: Path) -> None:
    lines = [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    text = yaml.safe_dump({**CANARY}) + "labels:\n  a0: &a0 [x]\n" + "\n".join(lines) + "\n"
    (folder / CONFIG).write_text(text)
    assert "démesurée" in refusal(folder)


def test_a_configuration_that_holds_itself_is_refused(folder: Path) -> None:
    (folder / CONFIG).write_text(yaml.safe_dump(CANARY) + "labels: &me\n  again: *me\n")
    assert "démesurée" in refusal(folder)


@pytest.mark.parametrize("data", [b"", b"[1, 2]", b"\xff\xfe\x00", b"a: [", b"? [a, b]\n: c\n", b"- " * 100_000])
def test_what_is_no_configuration_is_refused(folder: Path, data: bytes) -> None:
    (folder / CONFIG).write_bytes(data)
    refusal(folder)


@pytest.mark.parametrize("named", ["nemo:absent.model", "/etc/hostname", "nemo:../../etc/hostname", "nemo:", None, 5])
def test_a_tokenizer_is_a_file_of_the_archive(folder: Path, named: Any) -> None:
    refusal(given(folder, tokenizer__langs__fr__model_path=named))


def test_a_tokenizers_link_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "link.model").symlink_to("/etc/hostname")
    refusal(given(folder, tokenizer__langs__fr__model_path="nemo:link.model"))


@pytest.mark.parametrize("kind", ["wpe", "hf", "agg", None])
def test_only_sentencepiece_cuts_words(folder: Path, kind: Any) -> None:
    """NeMo fetches the other kinds from a hub, by name."""
    refusal(given(folder, tokenizer={"type": kind, "dir": "x", "model_path": "nemo:a1_tokenizer.model"}))


@pytest.mark.parametrize(("place", "value"), [("prompt_format", "gemma"), ("sample_rate", 8000), ("tokenizer", "x")])
def test_what_this_engine_does_not_know_is_refused(folder: Path, place: str, value: Any) -> None:
    refusal(given(folder, **{place: value}))


def test_asking_about_the_engine_imports_nothing_heavy() -> None:
    code = (
        "import sys, asr.engines.nemo.backend, asr.engines.nemo.archive\n"
        "assert not {'torch', 'nemo', 'yaml', 'omegaconf', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])
