"""Repositories whose files lie in folders and in other formats than safetensors: an engine's own choice of them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import ApiError
from common.hub import listing as hub_listing
from common.hub.cache import PARTIAL
from common.hub.hub import Hub, Patience
from common.hub.listing import Listing, RemoteFile, check_limits, choose_files, read_listing
from tests.hub_server import COMMIT, Fault, HubServer

REPO = "frigo-tests/pipeline"
FILES = {
    "config.yaml": 300,
    "model.nemo": 200_000,
    "README.md": 50,
    "segmentation/pytorch_model.bin": 900_000,
    "plda/deep/plda.npz": 5_000,
    "plda/deep/deeper/never.npz": 10,
    "run.py": 10,
}
TAKEN = ["config.yaml", "model.nemo", "plda/deep/plda.npz", "segmentation/pytorch_model.bin"]
QUICK = Patience(connect_s=20, stall_s=20, attempts=4, first_wait_s=0.01, most_wait_s=0.02, retry_after_s=1.5)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    for name, size in FILES.items():
        path = tmp_path / "repo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(name).randbytes(size))
    server = HubServer({REPO: tmp_path / "repo"}).start()
    yield server
    server.stop()


@pytest.fixture
def here(hub: HubServer, tmp_path: Path) -> Hub:
    return Hub(tmp_path / "cache", hub.url, "", patience=QUICK)


def pipeline(listing: Listing) -> list[RemoteFile]:
    return [file for name in TAKEN if (file := listing.find(name)) is not None]


def fetch(here: Hub) -> Path:
    return here.download(REPO, "main", lambda _done, _total: None, choose=pipeline)


def assert_whole(folder: Path, hub: HubServer) -> None:
    kept = [Path(root, name).relative_to(folder).as_posix() for root, _d, names in os.walk(folder) for name in names]
    assert sorted(kept) == TAKEN
    for name in TAKEN:
        assert (folder / name).read_bytes() == (hub.repos[REPO] / name).read_bytes()


def test_what_the_engine_chose_is_found_under_its_folders(hub: HubServer, here: Hub) -> None:
    folder = fetch(here)
    assert_whole(folder, hub)
    assert folder == here.snapshot(REPO, "main") == here.snapshot(REPO, COMMIT)
    assert here.find(REPO, "main") is None  # no config.json: not what `find` looks for
    assert here.snapshot(REPO, "other") is None
    assert here.snapshot(REPO, "../blobs") is None
    asked = [path for _method, path, _span in hub.seen if "/resolve/" in path]
    assert len(asked) == len(TAKEN)


def test_another_tool_finds_what_was_fetched_in_a_folder(here: Hub) -> None:
    from huggingface_hub import try_to_load_from_cache

    folder = fetch(here)
    name = "plda/deep/plda.npz"
    assert try_to_load_from_cache(REPO, name, cache_dir=here.cache_dir) == str(folder / name)


def test_files_in_folders_are_resumed_and_checked_like_the_others(hub: HubServer, here: Hub) -> None:
    hub.faults = [Fault("/pytorch_model.bin", cut_after=300_000, times=1), Fault("/plda.npz", corrupt=True, times=1)]
    assert_whole(fetch(here), hub)
    assert hub.ranges_of("/pytorch_model.bin") == ["", "bytes=300000-"]
    assert hub.ranges_of("/plda.npz") == ["", ""]
    assert not list(here.cache_dir.glob(f"*/blobs/*{PARTIAL}"))


def test_a_file_in_a_folder_that_stays_altered_is_refused_and_nothing_looks_whole(hub: HubServer, here: Hub) -> None:
    hub.faults = [Fault("/plda.npz", corrupt=True)]
    with pytest.raises(ApiError, match="hub_corrupt") as refused:
        fetch(here)
    assert "plda/deep/plda.npz" in str(refused.value.message)
    assert here.snapshot(REPO, "main") is None


def test_without_links_the_files_are_copied(hub: HubServer, here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise OSError

    monkeypatch.setattr(Path, "symlink_to", refuse)
    monkeypatch.setattr(os, "link", refuse)
    folder = fetch(here)
    assert_whole(folder, hub)
    assert not any((folder / name).is_symlink() for name in TAKEN)


def test_a_snapshot_that_another_tool_began_is_completed(hub: HubServer, here: Hub) -> None:
    begun = here.cache_dir / "models--frigo-tests--pipeline" / "snapshots" / COMMIT / "plda" / "deep"
    begun.mkdir(parents=True)
    (begun / "plda.npz").write_bytes(b"cut")
    assert_whole(fetch(here), hub)


def test_names_that_reach_outside_or_too_deep_are_not_even_listed() -> None:
    names = [
        "a/../../b.bin", "../b.bin", "a/..", "/etc/b.bin", "a//b.bin", "a/.git/b.bin", "a\\b.bin", "a/b/c/d.bin",
        "a/b\n.bin", "a/", "a/\0.bin", "a/~b.bin",
    ]  # fmt: skip
    said = {"sha": COMMIT, "siblings": [{"rfilename": name} for name in [*names, "a/b.bin", "a/b/c.npz"]]}
    assert [file.name for file in read_listing(REPO, said).files] == ["a/b.bin", "a/b/c.npz"]


@pytest.mark.parametrize(
    "names", [["a/b.bin", "a"], ["a/b/c.npz", "a/b"], ["a.bin", "a.bin"], ["../a.bin"], ["/a.bin"], ["a/./b.bin"]]
)
def test_a_choice_that_is_no_set_of_files_is_refused(names: list[str]) -> None:
    with pytest.raises(ApiError, match="hub_invalid"):
        check_limits(REPO, [RemoteFile(name, 1, "0" * 64) for name in names])


def test_a_language_model_takes_nothing_of_it() -> None:
    names = [*FILES, "sub/model.safetensors", "sub/config.json", "model.safetensors", "config.json"]
    listing = Listing(REPO, COMMIT, tuple(RemoteFile(name, 1, "0" * 64) for name in names))
    assert [file.name for file in choose_files(listing)] == ["config.json", "model.safetensors"]


def test_only_weights_may_be_big(hub: HubServer, here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_listing, "MAX_SMALL_BYTES", 299)
    with pytest.raises(ApiError, match="hub_invalid") as refused:
        fetch(here)
    assert "config.yaml" in str(refused.value.message)
    assert not any("/resolve/" in path for _method, path, _span in hub.seen)
