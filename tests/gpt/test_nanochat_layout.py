"""Where nanochat keeps a model, which generation it is of, and what is refused by its name."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from common.errors import ApiError
from gpt.engines.nanochat.archive import ArchiveError, stored_tensors
from gpt.engines.nanochat.generations import GENERATIONS, Generation, identify
from gpt.engines.nanochat.layout import SIDECAR, describe, find_checkpoint, is_nanochat, refusal
from tests.gpt.nanochat_folders import (
    CONFIG,
    RECOGNISED,
    TABLE,
    config_of,
    state_of,
    write_checkpoint,
    write_generation,
    write_tokenizer,
)

SAME = {"f1bf69d": "3a5e0bc", "aa530cd": "3a5e0bc"}  # what they compute was computed before


def shapes_of(commit: str, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state_of(commit, config).items()}


def reason(error: pytest.ExceptionInfo[ApiError]) -> str:
    assert (error.value.status, error.value.code) == (422, "model_unusable")
    return str(error.value.message)


def empty_base(base: Path, *checkpoints: str) -> Path:
    """Folders that look right from outside: names are all that is looked at."""
    for checkpoint in checkpoints:
        folder, _slash, step = checkpoint.rpartition("/")
        (base / folder).mkdir(parents=True, exist_ok=True)
        (base / folder / f"model_{step}.pt").write_bytes(b"")
        (base / folder / f"meta_{step}.json").write_text("{}")
    write_tokenizer(base, 300)
    return base


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("", ("sft", "d20", 700)),
        ("#base", ("base", "d4", 1500)),
        ("#base/d4/150", ("base", "d4", 150)),
        ("#sft/d4", ("sft", "d4", 900)),
        ("/base_checkpoints", ("base", "d4", 1500)),
        ("/chatsft_checkpoints#d4", ("sft", "d4", 900)),
        ("/chatsft_checkpoints/d4", ("sft", "d4", 900)),
    ],
)
def test_the_last_training_the_deepest_model_and_the_last_step_win(
    tmp_path: Path, choice: str, expected: tuple[str, str, int]
) -> None:
    base = empty_base(
        tmp_path / "nanochat",
        *("base_checkpoints/d4/000150", "base_checkpoints/d4/001500", "base_checkpoints/new/000001"),
        *("chatsft_checkpoints/d4/000900", "chatsft_checkpoints/d20/000700", "mid_checkpoints/d32/000100"),
    )
    (base / "chatrl_checkpoints" / "d40").mkdir(parents=True)  # begun, nothing saved yet
    found = find_checkpoint(Path(f"{base}{choice}"))
    assert (found.source, found.tag, found.step) == expected
    assert found.tokenizer == base / "tokenizer" / "tokenizer.pkl"
    assert found.chats is (expected[0] != "base")


def test_rl_wins_and_the_newest_folder_when_none_has_a_depth(tmp_path: Path) -> None:
    base = empty_base(tmp_path, "chatsft_checkpoints/d9/000001", "chatrl_checkpoints/old/000001")
    empty_base(tmp_path, "chatrl_checkpoints/new/000001")
    os.utime(base / "chatrl_checkpoints" / "old", (1, 1))
    assert find_checkpoint(base).tag == "new"
    assert find_checkpoint(base).source == "rl"


def test_a_folder_on_its_own_with_its_tokenizer_beside(tmp_path: Path) -> None:
    """As models are published: everything in one folder."""
    empty_base(tmp_path, "flat/000650")
    (tmp_path / "flat" / "tokenizer.pkl").write_bytes((tmp_path / "tokenizer" / "tokenizer.pkl").read_bytes())
    folder = (tmp_path / "flat").rename(tmp_path / "elsewhere")
    (tmp_path / "tokenizer" / "tokenizer.pkl").unlink()
    assert find_checkpoint(folder).tokenizer == folder / "tokenizer.pkl"
    assert find_checkpoint(folder).chats
    (folder / "meta_000650.json").write_text('{"device_batch_size": 8}')
    assert not find_checkpoint(folder).chats


@pytest.mark.parametrize(
    "choice", ["#rl", "#sft/d5", "#base/d4/7", "#base/d4/x", "#../d4", "#base/..", "/nothing", "#"]
)
def test_a_choice_that_is_not_there_is_not_replaced(tmp_path: Path, choice: str) -> None:
    base = empty_base(tmp_path / "nanochat", "base_checkpoints/d4/000150", "chatsft_checkpoints/d4/000150")
    assert not is_nanochat(Path(f"{base}{choice}"))
    with pytest.raises(ApiError) as error:
        find_checkpoint(Path(f"{base}{choice}"))
    assert "aucun modèle nanochat" in reason(error)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    base = empty_base(tmp_path, "base_checkpoints/d4/000150")
    (base / "tokenizer" / "tokenizer.pkl").unlink()
    with pytest.raises(ApiError, match=r"tokenizer\.pkl"):
        find_checkpoint(base)
    write_tokenizer(base, 300)
    (base / "base_checkpoints" / "d4" / "meta_000150.json").unlink()
    with pytest.raises(ApiError, match=r"meta_000150\.json"):
        find_checkpoint(base)


@pytest.mark.parametrize("commit", RECOGNISED)
def test_each_generation_is_recognised_by_what_it_saves(commit: str, tmp_path: Path) -> None:
    write_generation(tmp_path, commit)
    shapes = shapes_of(commit, config_of(commit))
    assert identify(config_of(commit), shapes).generation.commit == SAME.get(commit, commit)
    facts = describe(tmp_path)
    assert facts is not None
    assert facts.family == "nanochat"
    assert facts.context == CONFIG["sequence_len"]
    assert facts.parameters == facts.linear + facts.embeddings + facts.vectors
    assert (
        facts.stored_bytes
        == 4 * facts.parameters
        == 4 * sum(t.numel() for t in state_of(commit, config_of(commit)).values())
    )
    assert refusal(tmp_path) is None


@pytest.mark.parametrize("commit", ["e85db6b", "aba30cb"])
def test_generations_that_save_the_same_are_refused_until_declared(commit: str, tmp_path: Path) -> None:
    write_generation(tmp_path, commit)
    said = str(refusal(tmp_path))
    assert "ambigu" in said
    assert "e85db6b" in said
    assert "aba30cb" in said
    assert SIDECAR in said
    assert describe(tmp_path) is None
    sidecar = tmp_path / "chatsft_checkpoints" / "d5" / SIDECAR
    sidecar.write_text(json.dumps({"generation": commit}))
    assert describe(tmp_path) is not None
    assert identify(config_of(commit), shapes_of(commit, config_of(commit)), commit).generation.softcap == TABLE[
        commit
    ].get("cap", 15.0)


@pytest.mark.parametrize(
    ("sidecar", "expected"),
    [
        ('{"generation": "a825e63"}', "a825e63"),  # not what the weights say
        ('{"generation": "bbbbbbb"}', "génération inconnue"),
        ('{"generation": 3}', SIDECAR),
        ("{", SIDECAR),
        ("[]", SIDECAR),
    ],
)
def test_a_wrong_declaration_is_refused(tmp_path: Path, sidecar: str, expected: str) -> None:
    write_generation(tmp_path, "6ed7d1d")
    (tmp_path / "chatsft_checkpoints" / "d5" / SIDECAR).write_text(sidecar)
    assert expected in str(refusal(tmp_path))


@pytest.mark.parametrize(
    "name", ["bigram_embed.embed.weight", "value_embed_A.weight", "transformer.h.9.mlp.c_fc.weight"]
)
def test_an_unknown_tensor_is_refused_by_its_name(name: str) -> None:
    shapes = shapes_of("a825e63", config_of("a825e63")) | {name: (3, 3)}
    with pytest.raises(ApiError) as error:
        identify(config_of("a825e63"), shapes)
    assert f"poids inconnu : {name}" in reason(error)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rope_theta": 5}, "rope_theta"),
        ({"n_layer": None}, "n_layer"),
        ({"n_layer": True}, "n_layer"),
        ({"n_layer": 10**9}, "n_layer"),
        ({"vocab_size": -1}, "vocab_size"),
        ({"n_head": 3}, "n_head"),
        ({"n_kv_head": 3}, "n_kv_head"),
        ({"window_pattern": "SXL"}, "window_pattern"),
        ({"window_pattern": ""}, "window_pattern"),
        ({"window_pattern": 7}, "window_pattern"),
    ],
)
def test_an_unknown_or_impossible_setting_is_refused_by_its_name(changes: dict[str, Any], expected: str) -> None:
    config = config_of("a825e63")
    with pytest.raises(ApiError) as error:
        identify(config | changes, shapes_of("a825e63", config))
    assert expected in reason(error)


@pytest.mark.parametrize(
    ("remove", "add", "expected"),
    [
        ("lm_head.weight", {}, "lm_head.weight"),
        ("transformer.h.3.attn.c_k.weight", {}, "transformer.h.3.attn.c_k.weight"),
        ("smear_lambda", {}, "smear_lambda"),
        ("value_embeds.4.weight", {}, "value_embeds.4.weight"),
        ("", {"value_embeds.1.weight": (320, 32)}, "value_embeds.1.weight"),
        ("", {"transformer.h.0.attn.c_q.weight": (64, 32)}, "transformer.h.0.attn.c_q.weight"),
        ("", {"transformer.h.0.attn.ve_gate.weight": (2, 16)}, "transformer.h.0.attn.ve_gate.weight"),
        ("", {"smear_gate.weight": (1, 25)}, "smear_gate.weight"),
        ("", {"v0_lambdas": (5,)}, "v0_lambdas"),
        ("", {"lm_head.weight": ()}, "lm_head.weight"),
    ],
)
def test_a_mixture_of_generations_is_refused_by_what_differs(
    remove: str, add: dict[str, tuple[int, ...]], expected: str
) -> None:
    shapes = shapes_of("a825e63", config_of("a825e63")) | add
    shapes.pop(remove, None)
    with pytest.raises(ApiError) as error:
        identify(config_of("a825e63"), shapes)
    assert expected in reason(error)


def test_windows_are_those_of_the_generation() -> None:
    def windows(commit: str, **changes: Any) -> tuple[int | None, ...]:
        config = config_of(commit, **changes)
        return identify(config, shapes_of(commit, config)).windows

    assert windows("3a5e0bc") == (None,) * 5
    assert windows("fbc1484", window_pattern="SL") == (256, None, 256, None, None)
    assert windows("6ed7d1d", sequence_len=2048) == (768, 768, 768, None, None)
    assert windows("a825e63", sequence_len=2048, window_pattern="sssl") == (512, 512, 512, None, None)
    assert windows("a825e63", sequence_len=1280, window_pattern="S") == (384,) * 4 + (None,)
    assert windows("a825e63", sequence_len=256) == (128, 128, 128, None, None)


def test_the_table_is_the_one_that_was_read() -> None:
    """FORMAT.md's table, number by number."""
    rows = {generation.commit: generation for generation in GENERATIONS}
    assert set(rows) == set(TABLE) - {"f1bf69d", "aa530cd"}
    for commit, row in rows.items():
        expected = TABLE[commit]
        assert isinstance(row, Generation)
        assert row.rope_base == expected.get("base", 10_000.0)
        assert row.softcap == expected.get("cap", 15.0)
        assert row.qk_scale == expected.get("scale", 1.0)
        assert row.gate_channels == expected.get("channels", 0)
        assert row.gate_factor == expected.get("gate", 0.0)
        assert row.smear is expected.get("smear", False)


class Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch nanochat-was-unpickled",))


def archive_with(path: Path, index: bytes, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", index)
        for name, data in files.items():
            archive.writestr(f"m/data/{name[1:]}", data)
    return path


def test_an_archive_that_runs_something_is_refused_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in range(2, 6):
        path = archive_with(tmp_path / "model_000001.pt", pickle.dumps({"x": Runs()}, protocol))
        with pytest.raises(ArchiveError, match="it names"):
            stored_tensors(path)
    assert not (tmp_path / "nanochat-was-unpickled").exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x02}q\x00.", b"not a zip at all" * 100])
def test_what_is_not_an_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model_000001.pt"
    path.write_bytes(content)
    with pytest.raises(ArchiveError):
        stored_tensors(path)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model_000001.pt"
    for value in ({}, [], {"x": 3}, {"x": (1, 2)}, {3: 4}, "x"):
        with pytest.raises(ArchiveError):
            stored_tensors(archive_with(path, pickle.dumps(value, 2)))


def test_a_tensor_longer_than_its_storage_is_refused(tmp_path: Path) -> None:
    """The shape says more than the file holds: the estimate must not be taken from a lie."""
    write_checkpoint(tmp_path, state_of("3a5e0bc", CONFIG), CONFIG)
    whole = next(tmp_path.glob("*.pt"))
    assert stored_tensors(whole)["lm_head.weight"].shape == (300, 64)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(tmp_path / "cut.pt", "w") as cut:
        for name in archive.namelist():
            data = archive.read(name)
            cut.writestr(name, data[:100] if "/data/" in name else data)
    with pytest.raises(ArchiveError, match="not a whole tensor"):
        stored_tensors(tmp_path / "cut.pt")


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(ArchiveError, match="not a torch archive"):
        stored_tensors(tmp_path / "bomb.pt")


def test_describing_a_model_needs_no_torch(tmp_path: Path) -> None:
    """The service's own process asks; it must stay light."""
    write_generation(tmp_path, "a825e63")
    code = (
        "import sys; from pathlib import Path; from gpt.engines.nanochat.layout import describe; "
        f"assert describe(Path({str(tmp_path)!r})).layers == 5; "
        "assert not {'torch', 'tokenizers', 'tiktoken'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("meta", "expected"),
    [("{}", "ne décrit pas"), ("[]", "illisible"), ("{", "illisible"), ('{"model_config": 3}', "ne décrit pas")],
)
def test_a_meta_that_says_nothing_is_refused(tmp_path: Path, meta: str, expected: str) -> None:
    write_generation(tmp_path, "a825e63")
    (tmp_path / "chatsft_checkpoints" / "d5" / "meta_000010.json").write_text(meta)
    assert expected in str(refusal(tmp_path))


def test_a_model_that_lacks_a_file_is_one_and_says_which(tmp_path: Path) -> None:
    base = write_generation(tmp_path, "a825e63")
    (base / "tokenizer" / "tokenizer.pkl").unlink()
    assert is_nanochat(base)
    assert describe(base) is None
    assert "tokenizer.pkl" in str(refusal(base))
    assert not is_nanochat(base / "tokenizer")
