"""What headers and a configuration tell of a model, on disk and on a hub, without a weight being read."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from common.errors import ApiError
from common.hub import facts as hub_facts
from common.hub.facts import FactsBook
from common.hub.hub import Hub, Patience
from common.models.footprint import ModelFacts, facts_of, read_folder
from tests.hub_server import COMMIT, Fault, HubServer

REPO = "someone/model"
HASTY = Patience(connect_s=20, stall_s=20, attempts=1, first_wait_s=0)
WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1, "I32": 4, "BOOL": 1}
CONFIG = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def header(**tensors: tuple[str, list[int]]) -> dict[str, Any]:
    """Names with "__" for dots."""
    return {name.replace("__", "."): {"dtype": dtype, "shape": shape} for name, (dtype, shape) in tensors.items()}


def write_weights(path: Path, tensors: dict[str, Any]) -> int:
    """A safetensors file full of 0x55; the header's size, its 8 bytes of length included."""
    offset = 0
    placed: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name, tensor in tensors.items():
        size = WIDTHS[tensor["dtype"]]
        for length in tensor["shape"]:
            size *= length
        placed[name] = {**tensor, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(placed).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\x55" * offset)
    return len(text) + 8


def write_model(folder: Path, config: dict[str, Any] | None = None, shards: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or CONFIG), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    parts = [
        header(model__embed_tokens__weight=("BF16", [100, 16]), model__norm__weight=("F32", [16])),
        header(model__layers__0__mlp__up_proj__weight=("BF16", [64, 16]), lm_head__weight=("BF16", [100, 16])),
    ]
    if shards == 1:
        write_weights(folder / "model.safetensors", {**parts[0], **parts[1]})
        return folder
    names = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    for name, tensors in zip(names, parts, strict=True):
        write_weights(folder / name, tensors)
    index = {"weight_map": {name: file for file, part in zip(names, parts, strict=True) for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


# --- what is counted ---------------------------------------------------------------------------------------------


def test_numbers_are_counted_by_what_they_are() -> None:
    tensors = header(
        model__embed_tokens__weight=("BF16", [100, 16]),
        model__layers__0__self_attn__q_proj__weight=("BF16", [16, 16]),
        model__layers__0__self_attn__q_proj__bias=("F32", [16]),
        model__layers__0__input_layernorm__weight=("F32", [16]),
        lm_head__weight=("BF16", [100, 16]),
    )
    facts = facts_of(CONFIG, [tensors])
    assert (facts.linear, facts.embeddings, facts.vectors, facts.others) == (256, 3200, 32, 0)
    assert facts.parameters == 256 + 3200 + 32
    assert facts.stored_bytes == 2 * (256 + 3200) + 4 * 32  # mixed precisions, each at its own width
    assert (facts.largest, facts.vocabulary, facts.hidden) == (1600, 100, 16)
    assert (facts.layers, facts.heads, facts.kv_heads, facts.kv_values) == (2, 4, 2, 2 * 2 * 2 * 4)


def test_a_stored_output_layer_that_is_the_embedding_counts_once() -> None:
    """Qwen3's small models store both, and share them in memory."""
    tensors = header(model__embed_tokens__weight=("BF16", [100, 16]), lm_head__weight=("BF16", [100, 16]))
    assert facts_of({**CONFIG, "tie_word_embeddings": True}, [tensors]).parameters == 1600
    assert facts_of({**CONFIG, "tie_word_embeddings": False}, [tensors]).parameters == 3200


def test_buffers_of_old_files_are_no_parameters() -> None:
    """GPT-2's hub files carry a causal mask per layer: twelve million numbers that are never loaded."""
    tensors = header(
        h__0__attn__bias=("F32", [1, 1, 1024, 1024]),
        h__0__attn__masked_bias=("F32", []),
        h__0__attn__c_attn__bias=("F32", [2304]),
        h__0__attn__c_attn__weight=("F32", [768, 2304]),
        model__layers__0__self_attn__rotary_emb__inv_freq=("F32", [64]),
    )
    facts = facts_of({"model_type": "gpt2", "n_layer": 1, "n_head": 12, "n_embd": 768, "n_positions": 1024}, [tensors])
    assert facts.parameters == 2304 + 768 * 2304
    assert (facts.context, facts.kv_values, facts.largest) == (1024, 2 * 768, 768 * 2304)


def test_experts_and_a_seeing_part_are_apart() -> None:
    """Experts are one stack in memory, which bitsandbytes leaves alone; the part that sees keeps its precision."""
    config = {"model_type": "qwen3_vl_moe", "text_config": CONFIG, "vision_config": {"depth": 1}}
    tensors = header(
        model__language_model__layers__0__mlp__experts__gate_up_proj=("BF16", [8, 16, 32]),
        model__language_model__layers__1__mlp__experts__0__up_proj__weight=("BF16", [32, 16]),
        model__visual__patch_embed__proj__weight=("BF16", [16, 3, 2, 4, 4]),
        model__visual__blocks__0__attn__qkv__weight=("BF16", [48, 16]),
        model__language_model__layers__0__self_attn__o_proj__weight=("BF16", [16, 16]),
    )
    facts = facts_of(config, [tensors])
    assert facts.linear == 256
    assert facts.others == 8 * 16 * 32 + 32 * 16 + 16 * 3 * 2 * 4 * 4 + 48 * 16
    assert facts.vision
    assert (facts.family, facts.context, facts.kv_values) == ("qwen3_vl_moe", 512, 32)


def test_packed_integers_keep_their_bytes() -> None:
    tensors = header(
        model__layers__0__mlp__up_proj__qweight=("I32", [8, 16]),
        model__layers__0__mlp__up_proj__scales=("F16", [1, 16]),
    )
    facts = facts_of(CONFIG, [tensors])
    assert (facts.packed_bytes, facts.parameters) == (512, 128 + 16)


@pytest.mark.parametrize(
    ("more", "values"),
    [
        ({}, 2 * 2 * 2 * 4),
        ({"head_dim": 128}, 2 * 2 * 2 * 128),
        ({"num_key_value_heads": None}, 2 * 2 * 4 * 4),
        ({"multi_query": True}, 2 * 2 * 1 * 4),
        ({"layer_types": ["full_attention", "linear_attention"]}, 2 * 1 * 2 * 4),
        (
            {"kv_lora_rank": 8, "qk_nope_head_dim": 12, "qk_rope_head_dim": 4, "v_head_dim": 10},
            2 * 4 * (12 + 4 + 10),
        ),
    ],
)
def test_the_cache_of_one_token(more: dict[str, Any], values: int) -> None:
    assert facts_of({**CONFIG, **more}, []).kv_values == values


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": {"dtype": "F32"}},
        {"a": {"dtype": "F32", "shape": [-1]}},
        {"a": {"dtype": "F32", "shape": "12"}, "b": 3},
        {"a": []},
    ],
)
def test_a_header_that_is_none_is_refused(tensors: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"safetensors|size"):
        facts_of(CONFIG, [tensors])


# --- on disk -----------------------------------------------------------------------------------------------------


def test_a_folder_in_shards_tells_the_same_as_in_one_file(tmp_path: Path) -> None:
    one, two = read_folder(write_model(tmp_path / "one")), read_folder(write_model(tmp_path / "two", shards=2))
    assert one is not None
    assert one == two


def test_no_folder_tells_nothing(tmp_path: Path) -> None:
    assert read_folder(tmp_path) is None
    (tmp_path / "config.json").write_text('{"n_layer": 1}', encoding="utf-8")
    assert read_folder(tmp_path) is None


# --- on a hub ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    hub = HubServer({REPO: write_model(tmp_path / "hub" / "model")}).start()
    yield hub
    hub.stop()


def book(server: HubServer, tmp_path: Path, **more: Any) -> FactsBook:
    return FactsBook(Hub(cache_dir=tmp_path / "cache", endpoint=server.url, **more))


@pytest.mark.parametrize("shards", [1, 2])
def test_the_hub_tells_what_the_disk_would_without_a_weight(server: HubServer, tmp_path: Path, shards: int) -> None:
    folder = write_model(tmp_path / "served", shards=shards)
    server.repos[REPO] = folder
    facts = book(server, tmp_path).learn(REPO, "main", HASTY)
    assert facts == read_folder(folder)
    spans = [span for name in folder.glob("*.safetensors") for span in server.ranges_of(name.name)]
    assert len(spans) == 2 * shards
    for name in folder.glob("*.safetensors"):
        header_end = 8 + int.from_bytes(name.read_bytes()[:8], "little")
        for span in server.ranges_of(name.name):
            first, _dash, last = span.removeprefix("bytes=").partition("-")
            assert int(first) <= int(last) < header_end, "a byte of weights was asked for"


def test_a_server_that_ignores_ranges_is_cut_off(server: HubServer, tmp_path: Path) -> None:
    server.ranges = False
    assert book(server, tmp_path).learn(REPO, "main", HASTY) == read_folder(server.repos[REPO])


def test_what_was_learnt_is_known_offline_and_later(server: HubServer, tmp_path: Path) -> None:
    facts = book(server, tmp_path).learn(REPO, "main", HASTY)
    asked = len(server.seen)
    later = book(server, tmp_path, offline=True)
    assert later.known(REPO, "main") == facts
    assert later.known(REPO, COMMIT) == facts
    assert later.known(REPO, "other") is None
    assert later.known("someone/else", "main") is None
    assert len(server.seen) == asked
    with pytest.raises(ApiError, match="hub_offline"):
        later.learn(REPO, "main")


def test_the_same_commit_is_not_measured_twice_and_another_is(server: HubServer, tmp_path: Path) -> None:
    facts = book(server, tmp_path).learn(REPO, "main", HASTY)
    server.seen.clear()
    assert book(server, tmp_path).learn(REPO, "main", HASTY) == facts
    assert server.ranges_of("model.safetensors") == []
    server.commit = "a" * 40
    server.repos[REPO] = write_model(tmp_path / "next", {**CONFIG, "max_position_embeddings": 1024})
    assert book(server, tmp_path).learn(REPO, "main", HASTY).context == 1024
    assert book(server, tmp_path).known(REPO, COMMIT) == facts


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": 1, "revisions": {"main": "x"}, "commits": {"x": {}}}']
)
def test_a_spoilt_note_is_no_note(server: HubServer, tmp_path: Path, text: str) -> None:
    note = tmp_path / "cache" / hub_facts.FOLDER / "someone--model.json"
    note.parent.mkdir(parents=True)
    note.write_text(text, encoding="utf-8")
    assert book(server, tmp_path).known(REPO, "main") is None
    assert book(server, tmp_path).learn(REPO, "main", HASTY).parameters > 0
    assert json.loads(note.read_text(encoding="utf-8"))["revisions"] == {"main": COMMIT}


def test_a_model_in_very_many_shards_is_measured_by_its_size(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_facts, "MAX_HEADERS", 1)
    folder = write_model(tmp_path / "served", {**CONFIG, "dtype": "bfloat16"}, shards=2)
    server.repos[REPO] = folder
    facts = book(server, tmp_path).learn(REPO, "main", HASTY)
    stored = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert (facts.stored_bytes, facts.parameters) == (stored, stored // 2)
    assert server.ranges_of("model-00001-of-00002.safetensors") == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("/api/models/", 401), "hub_unauthorized"),
        (Fault("/api/models/", 403, "GatedRepo"), "hub_gated"),
        (Fault("/api/models/", 404), "hub_not_found"),
        (Fault("/api/models/", 429, headers={"Retry-After": "30"}), "hub_rate_limited"),
        (Fault("model.safetensors", cut_after=4, times=99), "hub_unreachable"),
    ],
)
def test_the_hubs_refusals_have_their_own_sentences(server: HubServer, tmp_path: Path, fault: Fault, code: str) -> None:
    server.faults.append(fault)
    with pytest.raises(ApiError) as refused:
        book(server, tmp_path).learn(REPO, "main", HASTY)
    assert refused.value.code == code
    assert book(server, tmp_path).known(REPO, "main") is None


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("config.json", None, "model_unusable"),
        ("config.json", b"[1]", "model_unusable"),
        ("model.safetensors", None, "no_safetensors"),
        ("model.safetensors", b"\xff" * 64, "model_unusable"),
        ("model.safetensors", b"\x04" + bytes(7) + b"[12]", "model_unusable"),
    ],
)
def test_a_repository_that_is_no_model_is_refused(
    server: HubServer, tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    path = server.repos[REPO] / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ApiError) as refused:
        book(server, tmp_path).learn(REPO, "main", HASTY)
    assert refused.value.code == code


def test_the_token_is_shown(server: HubServer, tmp_path: Path) -> None:
    server.token = "hf_secret"
    with pytest.raises(ApiError, match="hub_unauthorized"):
        book(server, tmp_path).learn(REPO, "main", HASTY)
    assert book(server, tmp_path, token="hf_secret").learn(REPO, "main", HASTY).parameters > 0
    notes = list((tmp_path / "cache" / hub_facts.FOLDER).iterdir())
    assert notes
    assert all("hf_secret" not in note.read_text(encoding="utf-8") for note in notes)


def test_a_folder_that_cannot_be_written_is_no_obstacle(server: HubServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    shelf = book(server, tmp_path)
    assert shelf.learn(REPO, "main", HASTY) == shelf.known(REPO, "main")


def test_facts_survive_json() -> None:
    facts = facts_of(CONFIG, [header(model__embed_tokens__weight=("BF16", [100, 16]))])
    assert ModelFacts(**json.loads(json.dumps(asdict(facts)))) == facts
