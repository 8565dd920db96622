"""Which files of a repository are taken: safe ones, one copy of the weights, nothing that reaches outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import ApiError
from common.hub import listing as hub_listing
from common.hub.hub import Hub, Patience, wanted
from common.hub.listing import INDEX, Listing, RemoteFile, choose_files, read_listing
from tests.hub_server import HubServer

REPO = "frigo-tests/listed"
COMMIT = "c" * 40
QUICK = Patience(attempts=1)


def listing(*names: str) -> Listing:
    return Listing(REPO, COMMIT, tuple(RemoteFile(name, 1, "0" * 64) for name in names))


def shards(count: int, stem: str = "model") -> list[str]:
    return [f"{stem}-{turn:05}-of-{count:05}.safetensors" for turn in range(1, count + 1)]


def chosen(*names: str) -> list[str]:
    return [file.name for file in choose_files(listing(*names))]


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("model.safetensors", True),
        ("model-00001-of-00002.safetensors", True),
        ("adapter_model.safetensors", True),
        ("consolidated.safetensors", False),
        ("model.fp16.safetensors", False),
        ("model.fp32-00001-of-00002.safetensors", False),
        ("tokenizer.model", True),
        ("chat_template.jinja", True),
        ("vocab.json", True),
        ("merges.txt", True),
        ("trainer_state.json", False),
        ("onnx/model.onnx", False),
        ("original/params.json", False),
        ("modeling_x.py", False),
        ("pytorch_model.bin", False),
        ("training_args.bin", False),
        ("model.gguf", False),
        ("tf_model.h5", False),
        ("../evil.json", False),
        ("..\\evil.json", False),
        ("/etc/evil.json", False),
        (".hidden.json", False),
        ("evil\n.json", False),
        ("evil\0.json", False),
        ("", False),
        ("a" * 300 + ".json", False),
    ],
)
def test_what_is_wanted(name: str, yes: bool) -> None:
    assert wanted(name) is yes


def test_small_files_come_first_then_one_copy_of_the_weights() -> None:
    assert chosen("model.safetensors", "config.json", "pytorch_model.bin") == ["config.json", "model.safetensors"]
    whole = [INDEX, "config.json", *shards(3)]
    assert chosen("config.json", "model.safetensors", INDEX, *shards(3)) == ["config.json", INDEX, *shards(3)]
    assert sorted(chosen(*whole, *shards(2, "consolidated"))) == sorted(whole)
    assert chosen(*whole, "extra.safetensors") == ["config.json", INDEX, *shards(3)]


def test_shards_that_are_not_whole_or_not_indexed_give_way_to_the_single_file() -> None:
    assert chosen("config.json", "model.safetensors", INDEX, *shards(3)[:2]) == ["config.json", "model.safetensors"]
    assert chosen("config.json", "model.safetensors", *shards(2)) == ["config.json", "model.safetensors"]


def test_the_models_own_shards_win_over_a_variants() -> None:
    names = ["config.json", INDEX, *shards(2, "ema"), *shards(2)]
    assert chosen(*names) == ["config.json", INDEX, *shards(2)]


def info(**more: Any) -> dict[str, Any]:
    return {"sha": COMMIT, "siblings": [], **more}


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "text",
        {},
        {"siblings": []},
        info(sha="main"),
        info(sha="../../../../etc"),
        info(siblings="no"),
        info(siblings=[{"rfilename": "x.json"}] * 20_001),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(said: object) -> None:
    with pytest.raises(ApiError) as refused:
        read_listing(REPO, said)
    assert (refused.value.status, refused.value.code) == (502, "hub_invalid")


def test_what_the_list_says_of_a_file_is_not_believed_blindly() -> None:
    names: list[Any] = [
        {"rfilename": "a.json", "size": -1, "blobId": "zz"},
        {"rfilename": "b.json", "size": "9", "blobId": "../../x"},
        {"rfilename": "c.json", "size": 9, "blobId": "a" * 40},
        {"rfilename": "d.json", "size": 9, "blobId": "a" * 40, "lfs": {"sha256": "b" * 64, "size": 10}},
        {"rfilename": "../../../etc/passwd.json", "size": 1, "blobId": "a" * 40},
        {"rfilename": 3},
        "text",
    ]
    assert read_listing(REPO, info(siblings=names)).files == (
        RemoteFile("a.json", None, None),
        RemoteFile("b.json", None, None),
        RemoteFile("c.json", 9, "a" * 40),
        RemoteFile("d.json", 10, "b" * 64),
    )


# --- against a hub -------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    folder = tmp_path / "repo"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text(f'"{name}"', encoding="utf-8")
    server = HubServer({REPO: folder}).start()
    yield server
    server.stop()


def fetched(hub: HubServer, tmp_path: Path) -> set[str]:
    here = Hub(tmp_path / "cache", hub.url, "", patience=QUICK)
    return {path.name for path in here.download(REPO, "main", lambda _done, _total: None).iterdir()}


def refusal(hub: HubServer, tmp_path: Path) -> ApiError:
    with pytest.raises(ApiError) as refused:
        fetched(hub, tmp_path)
    assert not list((tmp_path / "cache").glob("*/snapshots/*/*"))
    return refused.value


def add_shards(hub: HubServer, named: list[str]) -> None:
    folder = hub.repos[REPO]
    for name in shards(2):
        (folder / name).write_text(name, encoding="utf-8")
    (folder / INDEX).write_text(json.dumps({"weight_map": dict(enumerate(named))}), encoding="utf-8")


def test_names_that_reach_outside_are_never_asked_for(hub: HubServer, tmp_path: Path) -> None:
    hub.extra_names = ["../../escaped.json", "..%2fescaped.json", "/tmp/escaped.json", "sub/escaped.json", ".x.json"]
    assert fetched(hub, tmp_path) == {"config.json", "tokenizer.json", "model.safetensors"}
    assert not any("escaped" in path for _method, path, _span in hub.seen)
    assert not list(tmp_path.rglob("escaped.json"))


def test_shards_are_taken_rather_than_the_same_weights_in_one_file(hub: HubServer, tmp_path: Path) -> None:
    add_shards(hub, shards(2))
    assert fetched(hub, tmp_path) == {"config.json", "tokenizer.json", INDEX, *shards(2)}
    assert hub.ranges_of("/model.safetensors") == []


def test_the_index_says_exactly_which_weights_are_needed(hub: HubServer, tmp_path: Path) -> None:
    (hub.repos[REPO] / "experts.safetensors").write_text("more", encoding="utf-8")
    add_shards(hub, ["experts.safetensors", *shards(2)])
    assert fetched(hub, tmp_path) == {"config.json", "tokenizer.json", INDEX, "experts.safetensors", *shards(2)}


@pytest.mark.parametrize("name", ["absent.safetensors", "../escaped.safetensors", "pytorch_model.bin"])
def test_an_index_that_names_what_is_not_there_is_refused_before_the_weights(
    hub: HubServer, tmp_path: Path, name: str
) -> None:
    (hub.repos[REPO] / "pytorch_model.bin").write_text("pickle", encoding="utf-8")
    add_shards(hub, [*shards(2), name])
    error = refusal(hub, tmp_path)
    assert (error.status, error.code) == (502, "hub_invalid")
    assert name in str(error.message)
    assert hub.ranges_of(shards(2)[0]) == []


def test_an_index_that_is_no_index_is_refused(hub: HubServer, tmp_path: Path) -> None:
    add_shards(hub, [])
    (hub.repos[REPO] / INDEX).write_text("[", encoding="utf-8")
    assert refusal(hub, tmp_path).code == "hub_invalid"


def test_a_configuration_as_big_as_a_model_is_refused_before_its_first_byte(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_listing, "MAX_SMALL_BYTES", 2**20)
    with (hub.repos[REPO] / "tokenizer.json").open("wb") as file:
        file.truncate(2**20 + 1)
    error = refusal(hub, tmp_path)
    assert (error.status, error.code) == (502, "hub_invalid")
    assert "tokenizer.json" in str(error.message)
    assert not any("/resolve/" in path for _method, path, _span in hub.seen)


def test_too_many_files_are_refused(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_listing, "MAX_FILES", 2)
    assert refusal(hub, tmp_path).code == "hub_invalid"


def test_a_mirror_whose_list_has_no_hashes_is_asked_for_each_file(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = hub._info
    monkeypatch.setattr(hub, "_info", lambda repo, folder, *, blobs: honest(repo, folder, blobs=False))
    assert fetched(hub, tmp_path) == {"config.json", "tokenizer.json", "model.safetensors"}
    assert sum(method == "HEAD" for method, _path, _span in hub.seen) == 3


def test_a_file_without_any_hash_is_refused(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = hub._info
    monkeypatch.setattr(hub, "_info", lambda repo, folder, *, blobs: honest(repo, folder, blobs=False))
    monkeypatch.setattr(hub, "_send_identity", lambda _request, _file: None)
    error = refusal(hub, tmp_path)
    assert (error.status, error.code) == (502, "hub_invalid")
    assert "empreinte" in str(error.message)


def test_a_part_of_a_file_is_read_without_the_rest(hub: HubServer, tmp_path: Path) -> None:
    client = Hub(tmp_path / "cache", hub.url, "", patience=QUICK).client(REPO, "main")
    found = client.listing()
    assert client.read(found, "config.json", 1, 6) == b"config"
    assert hub.ranges_of("config.json") == ["bytes=1-6"]
    assert client.read(found, "config.json", 7, 1000) == b'.json"'
    assert client.read(found, "config.json", 1000, 10) == b""
    hub.ranges = False
    assert client.read(found, "config.json", 1, 6) == b"config"
