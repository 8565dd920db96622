"""nanochat's arithmetic, every generation: against upstream's own answers where there are some, else against a plain
implementation of FORMAT.md's table, one token at a time, without cache, written here."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from common.errors import ApiError
from gpt.engines.nanochat.layout import SIDECAR, find_checkpoint
from gpt.engines.nanochat.model import Cache, Model
from gpt.engines.nanochat.weights import load_model
from tests.gpt.nanochat_folders import (
    RECOGNISED,
    TABLE,
    config_of,
    state_of,
    value_layers,
    write_checkpoint,
    write_generation,
    write_tokenizer,
)

ORACLES = [
    ("oracle-2025-10-16-306bc38", "base", "3a5e0bc"),
    ("oracle-2026-07-03-92d63d4", "base", "a825e63"),
    ("oracle-2026-07-03-92d63d4", "sft", "a825e63"),
]
IDS = [(7 * i * i + 3 * i + 1) % 300 for i in range(400)]  # longer than every short window of a 512-token model


def opened(folder: Path) -> Model:
    return load_model(find_checkpoint(folder), torch.device("cpu"))[0]


def rms(x: torch.Tensor) -> torch.Tensor:
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + torch.finfo(torch.float32).eps)


def reference(commit: str, state: dict[str, torch.Tensor], config: dict[str, Any], ids: list[int]) -> torch.Tensor:
    """Logits at each position, from the table."""
    row = TABLE[commit]
    layers, heads, kv_heads = config["n_layer"], config["n_head"], config["n_kv_head"]
    size, length, count = config["n_embd"] // heads, config["sequence_len"], len(ids)
    channels = torch.arange(0, size, 2).float()
    angles = torch.arange(count).float()[:, None] / (row.get("base", 10_000.0) ** (channels / size))[None]
    cos, sin = angles.cos(), angles.sin()
    if "base" not in row:  # before March 2026 they are kept in bfloat16
        cos, sin = cos.bfloat16().float(), sin.bfloat16().float()

    def turned(x: torch.Tensor) -> torch.Tensor:  # [token, channel]
        left, right = x[:, : size // 2], x[:, size // 2 :]
        return torch.cat([left * cos + right * sin, -left * sin + right * cos], -1)

    def window(i: int) -> int:
        short = {
            None: length,
            "half": length // 2,
            "third": math.ceil(math.ceil(length / 3) / 128) * 128,
            "quarter": math.ceil(math.ceil(length / 4) / 128) * 128,
        }[row["windows"]]
        pattern = config.get("window_pattern", "L")
        return length if i == layers - 1 or pattern[i % len(pattern)] == "L" else short

    x = rms(state["transformer.wte.weight"][ids])
    if row.get("smear"):
        smeared = [x[0]]
        for t in range(1, count):
            gate = state["smear_lambda"] * torch.sigmoid(state["smear_gate.weight"][0] @ x[t][:24])
            smeared.append(x[t] + gate * x[t - 1])
        x = torch.stack(smeared)
    x0 = x
    for i in range(layers):
        if row["lambdas"]:
            x = state["resid_lambdas"][i] * x + state["x0_lambdas"][i] * x0
        block = f"transformer.h.{i}"
        h = rms(x)
        q, k, v = (
            (h @ state[f"{block}.attn.{n}.weight"].T).view(count, -1, size).unbind(1) for n in ("c_q", "c_k", "c_v")
        )
        values = list(v)
        if i in value_layers(row, layers):
            extra = state[f"value_embeds.{i}.weight"][ids].view(count, kv_heads, size).unbind(1)
            if row.get("channels"):
                weight = state[f"{block}.attn.ve_gate.weight"]
                gates = (row["gate"] * torch.sigmoid(h[:, : row["channels"]] @ weight.T)).unbind(1)
            else:
                gates = [
                    state["v0_lambdas"][i].expand(count) if "v0_lambdas" in state else torch.ones(count)
                ] * kv_heads
            values = [a + g[:, None] * e for a, g, e in zip(values, gates, extra, strict=True)]
        keys = [rms(turned(a)) * row.get("scale", 1.0) for a in k]
        distance = torch.arange(count)[:, None] - torch.arange(count)[None]
        hidden = (distance < 0) | (distance > window(i))
        mixed = []
        for n, query in enumerate(q):
            shared = n * kv_heads // heads
            scores = (rms(turned(query)) * row.get("scale", 1.0)) @ keys[shared].T / math.sqrt(size)
            mixed.append(torch.softmax(scores.masked_fill(hidden, -math.inf), -1) @ values[shared])
        x = x + torch.cat(mixed, -1) @ state[f"{block}.attn.c_proj.weight"].T
        rising = torch.relu(rms(x) @ state[f"{block}.mlp.c_fc.weight"].T) ** 2
        x = x + rising @ state[f"{block}.mlp.c_proj.weight"].T
        if i == layers // 2:
            middle = x
    if row.get("smear"):
        x = x - state["backout_lambda"] * middle
    cap = row.get("cap", 15.0)
    logits = (rms(x) @ state["lm_head.weight"].T)[:, : config["vocab_size"]]
    return cap * torch.tanh(logits / cap)


def folder_of(base: Path, commit: str, **changes: Any) -> Path:
    """A folder that opens as `commit`: declared where it must be."""
    write_generation(base, commit, **changes)
    if commit not in RECOGNISED:
        (base / "chatsft_checkpoints" / "d5" / SIDECAR).write_text(json.dumps({"generation": commit}))
    return base


@pytest.mark.parametrize(("oracle", "source", "commit"), ORACLES)
def test_answers_as_upstream_does(shared_data: Path, oracle: str, source: str, commit: str) -> None:
    """Greedy ids identical, logits within rounding of the reference's five decimals and float32 sums."""
    folder = shared_data / "nanochat" / oracle
    model = opened(folder.with_name(f"{oracle}#{source}"))
    assert model.architecture.generation.commit == commit
    for case in json.loads((folder / f"reference_{source}.json").read_text())["cases"]:
        cache = Cache()
        with torch.inference_mode():
            logits = model.step([(cache, case["prompt_ids"])], every=True)
            assert logits.argmax(-1).tolist() == case["argmax_each_position"]
            assert (logits[-1] - torch.tensor(case["last_logits"])).abs().max() < 3e-5
            greedy = [int(logits[-1].argmax())]
            while len(greedy) < len(case["greedy_ids"]):
                greedy.append(int(model.step([(cache, greedy[-1:])]).argmax()))
        assert greedy == case["greedy_ids"]


@pytest.mark.parametrize("commit", TABLE)
@torch.inference_mode()
def test_every_generation_computes_its_own_way(commit: str, tmp_path: Path) -> None:
    config = config_of(commit)
    model = opened(folder_of(tmp_path, commit))
    expected = reference(commit, state_of(commit, config), config, IDS)
    logits = model.step([(Cache(), IDS)], every=True)
    assert (logits - expected).abs().max() < 1e-3
    assert float(expected.abs().max()) > 5  # the cap and the rest have something to change


@pytest.mark.parametrize("commit", TABLE)
@torch.inference_mode()
def test_reading_in_slices_and_tokens_is_reading_at_once(commit: str, tmp_path: Path) -> None:
    """The cache, the windows' edges and the smear from one step to the next."""
    model = opened(folder_of(tmp_path, commit))
    whole = model.step([(Cache(), IDS)], every=True)
    cache, rows, at = Cache(), [], 0
    for size in [100, 1, 1, 157, 3, *[1] * 138]:
        rows.append(model.step([(cache, IDS[at : at + size])], every=True))
        at += size
    assert cache.length == at == len(IDS)
    assert (torch.cat(rows) - whole).abs().max() < 1e-3


@pytest.mark.parametrize("commit", RECOGNISED)
@torch.inference_mode()
def test_company_changes_nothing(commit: str, tmp_path: Path) -> None:
    """Sequences of different lengths in one step, some with a token, some with a few: to the last bit."""
    model = opened(folder_of(tmp_path, commit))
    texts = [IDS[:330], IDS[5:12], IDS[40:90], IDS[100:300]]
    ends = [1, 3, 1, 8]

    def read() -> list[Cache]:
        caches = [Cache() for _ in texts]
        for cache, text, end in zip(caches, texts, ends, strict=True):
            model.step([(cache, text[:-end])])
        return caches

    tails = [text[-end:] for text, end in zip(texts, ends, strict=True)]
    alone = [model.step([part])[0] for part in zip(read(), tails, strict=True)]
    caches = read()
    together = model.step(list(zip(caches, tails, strict=True)))
    assert torch.equal(together, torch.stack(alone))
    again = model.step([(cache, [7]) for cache in caches[:2]])
    assert again.shape == (2, 300)


@torch.inference_mode()
def test_a_step_that_fails_leaves_the_sequences_as_they_were(tmp_path: Path) -> None:
    model = opened(folder_of(tmp_path, "a825e63"))
    first, second = Cache(), Cache()
    model.step([(first, IDS[:5]), (second, IDS[3:9])])
    with pytest.raises((IndexError, RuntimeError)):
        model.step([(first, [7]), (second, [10**6])])
    spoiled = model.step([(first, [8]), (second, [9])])
    first, second = Cache(), Cache()
    model.step([(first, IDS[:5]), (second, IDS[3:9])])
    assert torch.equal(model.step([(first, [8]), (second, [9])]), spoiled)


@torch.inference_mode()
def test_plain_values_are_added_when_their_owner_says_so(tmp_path: Path) -> None:
    """9a88194 as FORMAT.md tells it, without v0_lambdas."""
    config = config_of("9a88194")
    state = state_of("9a88194", config)
    del state["v0_lambdas"]
    folder = write_checkpoint(tmp_path / "chatsft_checkpoints" / "d5", state, config)
    write_tokenizer(tmp_path, config["vocab_size"])
    with pytest.raises(ApiError, match=r"ambigu.*v0_lambdas.*9a88194"):
        opened(tmp_path)
    (folder / SIDECAR).write_text('{"generation": "9a88194"}')
    logits = opened(tmp_path).step([(Cache(), IDS)], every=True)
    assert (logits - reference("9a88194", state, config, IDS)).abs().max() < 1e-3


@torch.inference_mode()
def test_missing_lambdas_are_neutral(tmp_path: Path) -> None:
    config = config_of("a825e63")
    state = state_of("a825e63", config)
    neutral = {**state, "resid_lambdas": torch.ones(5), "x0_lambdas": torch.zeros(5)}
    lacking = {name: tensor for name, tensor in state.items() if name not in {"resid_lambdas", "x0_lambdas"}}
    write_checkpoint(tmp_path / "base_checkpoints" / "d5", lacking, config)
    write_tokenizer(tmp_path, config["vocab_size"])
    logits = opened(tmp_path).step([(Cache(), IDS)], every=True)
    assert (logits - reference("a825e63", neutral, config, IDS)).abs().max() < 1e-3


@torch.inference_mode()
def test_bfloat16_and_compiled_names_are_read(tmp_path: Path) -> None:
    """What a GPU training saves: bf16 tensors under torch.compile's names, computed in float32 on a CPU."""
    config = config_of("a825e63")
    state = {name: tensor.bfloat16() for name, tensor in state_of("a825e63", config).items()}
    write_checkpoint(
        tmp_path / "base_checkpoints" / "d5", {f"_orig_mod.{name}": tensor for name, tensor in state.items()}, config
    )
    write_tokenizer(tmp_path, config["vocab_size"])
    logits = opened(tmp_path).step([(Cache(), IDS)], every=True)
    assert logits.dtype == torch.float32
    expected = reference("a825e63", {name: tensor.float() for name, tensor in state.items()}, config, IDS)
    assert (logits - expected).abs().max() < 1e-3


@torch.inference_mode()
def test_a_model_outlives_its_file(tmp_path: Path) -> None:
    """The file is mapped while it is read: training may write over it afterwards."""
    model = opened(folder_of(tmp_path, "a825e63"))
    before = model.step([(Cache(), IDS[:9])])
    path = find_checkpoint(tmp_path).model
    path.write_bytes(b"\xff" * path.stat().st_size)
    assert torch.equal(model.step([(Cache(), IDS[:9])]), before)
