"""What bad days do to a download, against a hub on loopback: cuts, silences, kills, wrong bytes, two at a time."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import ApiError
from common.hub.cache import PARTIAL, RepoFolder
from common.hub.hub import Hub, Patience
from common.hub.listing import RemoteFile
from tests.hub_server import COMMIT, Fault, HubServer

REPO = "frigo-tests/blob"
SIZE = 3 * 2**20
SMALL_FILES = 1000  # bytes: no partial file of the others is as long, so that what is here is of the weights
WEIGHTS = "model.safetensors"
QUICK = Patience(connect_s=20, stall_s=20, attempts=4, first_wait_s=0.01, most_wait_s=0.02, retry_after_s=1.5)
WATCHFUL = replace(QUICK, stall_s=1.0, attempts=2)  # soon takes a busy machine for a silence
PROGRAM = """
import sys
from pathlib import Path
from common.hub.hub import Hub
Hub(Path(sys.argv[1]), sys.argv[2]).download("frigo-tests/blob", "main", lambda done, total: print(done, flush=True))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    (folder / WEIGHTS).write_bytes(random.Random(7).randbytes(SIZE))
    server = HubServer({REPO: folder}).start()
    yield server
    server.stop()


@pytest.fixture
def here(hub: HubServer, tmp_path: Path) -> Hub:
    return Hub(tmp_path / "cache", hub.url, patience=QUICK)


def silent(_done: int, _total: int) -> None:
    """No one looks."""


def partial_bytes(here: Hub) -> int:
    total = 0
    for path in here.cache_dir.glob(f"*/blobs/*{PARTIAL}"):
        with contextlib.suppress(FileNotFoundError):  # whole meanwhile
            total += path.stat().st_size
    return total


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def assert_whole(here: Hub, hub: HubServer) -> None:
    folder = here.find(REPO, "main")
    assert folder is not None
    for path in hub.repos[REPO].iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()
    assert partial_bytes(here) == 0


def start_elsewhere(here: Hub) -> subprocess.Popen[bytes]:
    """The same download in another process."""
    command = [sys.executable, "-c", PROGRAM, str(here.cache_dir), str(here.endpoint)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])


def test_bytes_are_counted_from_none_to_all(hub: HubServer, here: Hub) -> None:
    seen: list[tuple[int, int]] = []
    hub.faults = [Fault(WEIGHTS, slow=0.01)]
    folder = here.download(REPO, "main", lambda done, total: seen.append((done, total)))
    size = sum(path.stat().st_size for path in hub.repos[REPO].iterdir())
    assert folder == here.find(REPO, "main")
    assert {total for _done, total in seen} == {size}
    assert [done for done, _total in seen] == sorted(done for done, _total in seen)
    assert seen[-1][0] == size
    assert any(0 < done < size - 1000 and done > SIZE // 10 for done, _total in seen)  # inside of the big file


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_cut_is_taken_up_where_it_was(hub: HubServer, here: Hub, cuts: int) -> None:
    step = SIZE // 5
    hub.faults = [Fault(f"/{WEIGHTS}", cut_after=step, times=cuts)]
    here.download(REPO, "main", silent)
    assert_whole(here, hub)
    assert hub.ranges_of(WEIGHTS) == [f"bytes={turn * step}-" if turn else "" for turn in range(cuts + 1)]


def test_a_silence_is_noticed_and_taken_up(hub: HubServer, tmp_path: Path) -> None:
    here = Hub(tmp_path / "cache", hub.url, patience=WATCHFUL)
    hub.faults = [Fault(f"/{WEIGHTS}", cut_after=2**20, stall=True, times=1)]
    here.download(REPO, "main", silent)
    assert_whole(here, hub)
    assert hub.ranges_of(WEIGHTS) == ["", f"bytes={2**20}-"]


def test_a_hub_that_always_stalls_is_given_up_and_what_came_is_kept(hub: HubServer, tmp_path: Path) -> None:
    here = Hub(tmp_path / "cache", hub.url, patience=WATCHFUL)
    hub.faults = [Fault(f"/{WEIGHTS}", cut_after=1000, stall=True)]
    with pytest.raises(ApiError) as refused:
        here.download(REPO, "main", silent)
    assert (refused.value.status, refused.value.code) == (503, "hub_unreachable")
    assert "ne répond pas" in str(refused.value.message)
    assert len(hub.ranges_of(WEIGHTS)) == WATCHFUL.attempts
    assert partial_bytes(here) == 1000 * WATCHFUL.attempts
    assert here.find(REPO, "main") is None


def test_a_killed_process_loses_nothing_it_received(hub: HubServer, here: Hub) -> None:
    hub.faults = [Fault(f"/{WEIGHTS}", slow=0.05)]
    child = start_elsewhere(here)
    wait_until(lambda: partial_bytes(here) > SIZE // 4)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    kept = partial_bytes(here)
    assert SIZE // 4 < kept < SIZE
    assert here.find(REPO, "main") is None  # nothing that looks like a model
    hub.faults = []
    seen: list[int] = []
    here.download(REPO, "main", lambda done, _total: seen.append(done))
    assert_whole(here, hub)
    assert hub.ranges_of(WEIGHTS) == ["", f"bytes={kept}-"]
    assert seen[0] >= kept  # counted from what was here, and never backwards
    assert seen == sorted(seen)


def test_a_server_without_ranges_sends_it_all_again(hub: HubServer, here: Hub) -> None:
    hub.ranges = False
    hub.faults = [Fault(f"/{WEIGHTS}", cut_after=SIZE // 2, times=1)]
    here.download(REPO, "main", silent)
    assert_whole(here, hub)


def test_an_altered_file_is_fetched_once_more(hub: HubServer, here: Hub) -> None:
    hub.faults = [Fault(f"/{WEIGHTS}", corrupt=True, times=1)]
    here.download(REPO, "main", silent)
    assert_whole(here, hub)
    assert hub.ranges_of(WEIGHTS) == ["", ""]


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])  # sha256 of LFS, git's sha1
def test_a_file_that_stays_altered_is_refused_and_removed(hub: HubServer, here: Hub, name: str) -> None:
    hub.faults = [Fault(f"/{name}", corrupt=True)]
    with pytest.raises(ApiError) as refused:
        here.download(REPO, "main", silent)
    assert (refused.value.status, refused.value.code) == (502, "hub_corrupt")
    assert name in str(refused.value.message)
    assert hub.ranges_of(name) == ["", ""]
    assert here.find(REPO, "main") is None
    assert partial_bytes(here) == 0
    assert not list(here.cache_dir.glob("*/snapshots/*/*"))


def test_an_altered_beginning_kept_from_before_is_not_believed(hub: HubServer, here: Hub) -> None:
    hub.faults = [Fault(f"/{WEIGHTS}", cut_after=2**20)]
    with pytest.raises(ApiError):
        Hub(here.cache_dir, hub.url, patience=Patience(attempts=1)).download(REPO, "main", silent)
    [partial] = here.cache_dir.glob(f"*/blobs/*{PARTIAL}")
    partial.write_bytes(bytes(2**20))  # what a power cut leaves
    hub.faults = []
    here.download(REPO, "main", silent)
    assert_whole(here, hub)
    assert hub.ranges_of(WEIGHTS) == ["", f"bytes={2**20}-", ""]


def test_an_altered_file_in_the_cache_is_replaced(hub: HubServer, here: Hub) -> None:
    folder = here.download(REPO, "main", silent)
    (folder / WEIGHTS).resolve().write_bytes(bytes(SIZE))
    here.download(REPO, "main", silent)
    assert_whole(here, hub)


@pytest.mark.parametrize("short", [1, 1000])
def test_an_answer_that_ends_early_is_gone_on_with(hub: HubServer, here: Hub, short: int) -> None:
    hub.faults = [Fault(f"/{WEIGHTS}", short=short, times=1)]
    here.download(REPO, "main", silent)
    assert_whole(here, hub)
    assert hub.ranges_of(WEIGHTS) == ["", f"bytes={SIZE - short}-"]


def test_a_file_shorter_than_its_list_says_is_refused(
    hub: HubServer, here: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    _announce(hub, monkeypatch, SIZE + 10)
    with pytest.raises(ApiError) as refused:
        here.download(REPO, "main", silent)
    assert refused.value.code == "hub_corrupt"
    assert here.find(REPO, "main") is None


def test_a_file_longer_than_its_list_says_is_stopped(
    hub: HubServer, here: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    _announce(hub, monkeypatch, 1000)
    hub.faults = [Fault(f"/{WEIGHTS}", slow=0.02)]
    sizes: list[int] = []

    def look() -> bool:
        sizes.append(partial_bytes(here))
        return False

    with pytest.raises(ApiError) as refused:
        here.download(REPO, "main", silent, look)
    assert refused.value.code == "hub_corrupt"
    assert max(sizes) < SIZE // 4
    assert partial_bytes(here) == 0


def _announce(hub: HubServer, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let the hub's list give another size for the weights."""
    honest = hub._info

    def info(repo: str, folder: Path, *, blobs: bool) -> Any:
        said = honest(repo, folder, blobs=blobs)
        for file in said["siblings"]:
            if "lfs" in file:
                file["lfs"]["size"] = size
        return said

    monkeypatch.setattr(hub, "_info", info)


def test_two_callers_share_one_download(hub: HubServer, here: Hub) -> None:
    slow = Fault(f"/{WEIGHTS}", slow=0.3)
    hub.faults = [slow]
    seen: list[list[int]] = [[], []]
    threads = [
        threading.Thread(target=here.download, args=(REPO, "main", lambda done, _total, kept=kept: kept.append(done)))
        for kept in seen
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(seen))  # both are there
    slow.slow = 0.02
    for thread in threads:
        thread.join(60)
    assert_whole(here, hub)
    assert hub.ranges_of(WEIGHTS) == [""]
    for kept in seen:  # both saw the same bytes come
        assert len({done for done in kept if SIZE // 10 < done < SIZE * 9 // 10}) > 1


def test_two_processes_share_one_download(hub: HubServer, here: Hub) -> None:
    hub.faults = [Fault(f"/{WEIGHTS}", slow=0.05)]
    child = start_elsewhere(here)
    wait_until(lambda: partial_bytes(here) > SMALL_FILES)
    here.download(REPO, "main", silent)
    assert child.wait(60) == 0
    assert_whole(here, hub)
    assert hub.ranges_of(WEIGHTS) == [""]


def test_the_second_goes_on_when_the_first_is_killed(hub: HubServer, here: Hub) -> None:
    hub.faults = [Fault(f"/{WEIGHTS}", slow=0.5)]
    child = start_elsewhere(here)
    wait_until(lambda: partial_bytes(here) > SMALL_FILES)
    second = threading.Thread(target=here.download, args=(REPO, "main", silent))
    second.start()
    wait_until(lambda: sum("blobs=" in path for _method, path, _span in hub.seen) == 2)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    hub.faults = []
    second.join(30)
    assert_whole(here, hub)
    first, again = hub.ranges_of(WEIGHTS)
    assert first == ""
    assert again.startswith("bytes=")


def test_a_cancelled_download_stops_keeps_what_came_and_can_go_on(hub: HubServer, here: Hub) -> None:
    hub.faults = [Fault(f"/{WEIGHTS}", slow=0.02)]
    with pytest.raises(ApiError) as refused:
        here.download(REPO, "main", silent, lambda: partial_bytes(here) > SIZE // 4)
    assert (refused.value.status, refused.value.code) == (499, "download_cancelled")
    kept = partial_bytes(here)
    assert SIZE // 4 < kept < SIZE
    assert here.find(REPO, "main") is None
    hub.faults = []
    here.download(REPO, "main", silent)
    assert hub.ranges_of(WEIGHTS)[-1] == f"bytes={kept}-"
    assert_whole(here, hub)


def test_who_waits_for_another_can_cancel_too(hub: HubServer, here: Hub) -> None:
    hub.faults = [Fault(f"/{WEIGHTS}", slow=0.05)]
    child = start_elsewhere(here)
    wait_until(lambda: partial_bytes(here) > SMALL_FILES)
    with pytest.raises(ApiError, match="download_cancelled"):
        here.download(REPO, "main", silent, lambda: partial_bytes(here) > SIZE // 4)
    assert child.wait(60) == 0  # the other is not disturbed
    assert_whole(here, hub)


def test_the_disk_must_hold_what_is_still_missing(hub: HubServer, here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    margin = 256 * 2**20
    usage = shutil.disk_usage(here.cache_dir.parent)
    room = usage._replace(free=margin + SIZE // 2)
    monkeypatch.setattr("common.hub.download.shutil.disk_usage", lambda _path: room)
    with pytest.raises(ApiError) as refused:
        here.download(REPO, "main", silent)
    assert (refused.value.status, refused.value.code) == (507, "disk_full")
    assert "0,27 Go de disque, il en reste 0,27" in str(refused.value.message)
    assert hub.ranges_of(WEIGHTS) == []
    # Two thirds are here: the rest fits.
    monkeypatch.undo()
    hub.faults = [Fault(f"/{WEIGHTS}", cut_after=2 * 2**20)]
    with pytest.raises(ApiError):
        Hub(here.cache_dir, hub.url, patience=Patience(attempts=1)).download(REPO, "main", silent)
    hub.faults = []
    monkeypatch.setattr("common.hub.download.shutil.disk_usage", lambda _path: room)
    here.download(REPO, "main", silent)
    assert_whole(here, hub)


def test_a_disk_that_others_fill_meanwhile_keeps_its_last_bytes(
    hub: HubServer, here: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(here.cache_dir.parent)
    monkeypatch.setattr(
        "common.hub.download.shutil.disk_usage",
        lambda _path: usage._replace(free=2**30 if partial_bytes(here) < SIZE // 4 else 2**20),
    )
    hub.faults = [Fault(f"/{WEIGHTS}", slow=0.05)]
    with pytest.raises(ApiError) as refused:
        here.download(REPO, "main", silent)
    assert (refused.value.status, refused.value.code) == (507, "disk_full")
    assert partial_bytes(here) < SIZE


def test_a_disk_that_fills_up_is_said(hub: HubServer, here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("common.hub.download.os.fsync", full)
    with pytest.raises(ApiError) as refused:
        here.download(REPO, "main", silent)
    assert (refused.value.status, refused.value.code) == (507, "disk_full")


def test_partial_files_of_an_older_commit_are_dropped(hub: HubServer, here: Hub) -> None:
    hub.faults = [Fault(f"/{WEIGHTS}", cut_after=2**20)]
    with pytest.raises(ApiError):
        Hub(here.cache_dir, hub.url, patience=Patience(attempts=1)).download(REPO, "main", silent)
    hub.faults = []
    (hub.repos[REPO] / WEIGHTS).write_bytes(random.Random(8).randbytes(SIZE))
    here.download(REPO, "main", silent)
    assert_whole(here, hub)
    assert hub.ranges_of(WEIGHTS)[-1] == ""


def test_a_snapshot_begun_by_another_tool_is_completed(hub: HubServer, here: Hub) -> None:
    snapshot = here.cache_dir / "models--frigo-tests--blob" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}", encoding="utf-8")
    here.download(REPO, "main", silent)
    assert_whole(here, hub)


@pytest.mark.parametrize("begun", [False, True])
def test_a_snapshot_is_never_half_made(hub: HubServer, here: Hub, monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    """Stopped at each of its steps, nothing that looks like a whole model is left; the next call ends the work."""
    snapshot = here.cache_dir / "models--frigo-tests--blob" / "snapshots" / COMMIT
    if begun:
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text("{}", encoding="utf-8")
    honest = RepoFolder._link
    for steps in range(3):
        done: list[str] = []

        def link(self: RepoFolder, file: RemoteFile, folder: Path, steps: int = steps, done: list[str] = done) -> None:
            if len(done) == steps:
                raise KeyboardInterrupt
            honest(self, file, folder)
            done.append(file.name)

        monkeypatch.setattr(RepoFolder, "_link", link)
        with pytest.raises(KeyboardInterrupt):
            here.download(REPO, "main", silent)
        assert not (snapshot / WEIGHTS).exists()
        assert snapshot.exists() is begun
    monkeypatch.undo()
    here.download(REPO, "main", silent)
    assert_whole(here, hub)
    assert hub.ranges_of(WEIGHTS) == [""]
    assert [path.name for path in snapshot.parent.parent.iterdir() if path.name.startswith(".")] == []


def test_big_files_come_from_another_host_and_it_never_sees_the_token(hub: HubServer, tmp_path: Path) -> None:
    hub.stop()
    hub.cdn, hub.token = True, "hf_secret_of_the_test"
    hub.start()
    hub.faults = [Fault(f"/{WEIGHTS}", cut_after=2**20, cdn=True, times=1)]
    here = Hub(tmp_path / "cache", hub.url, token=hub.token, patience=QUICK)
    here.download(REPO, "main", silent)
    assert_whole(here, hub)
    assert set(hub.tokens) == {f"Bearer {hub.token}"}
    assert hub.cdn_tokens == ["", ""]


def test_another_tool_finds_what_was_fetched(hub: HubServer, here: Hub) -> None:
    """The layout is huggingface_hub's own."""
    from huggingface_hub import try_to_load_from_cache

    folder = here.download(REPO, "main", silent)
    assert try_to_load_from_cache(REPO, WEIGHTS, cache_dir=here.cache_dir) == str(folder / WEIGHTS)
