"""`.nemo` archives: unpacked once and whole, and nothing hostile in them written anywhere."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from asr.engines.nemo import archive
from asr.engines.nemo.archive import CONFIG, WEIGHTS, find_archive, open_model, unpack, unpacked_folder
from common.errors import ApiError

HONEST = {CONFIG: b"target: x", WEIGHTS: b"weights", "0123abcd_tokenizer.model": b"pieces"}


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def write(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:", honest: bool = True) -> Path:
    root = tarfile.TarInfo("./")
    root.type = tarfile.DIRTYPE
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        tar.addfile(root)
        files = [member(f"./{name}", data) for name, data in HONEST.items()] if honest else []
        for info, data in (*files, *members):
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_an_honest_archive_is_unpacked_beside_itself(tmp_path: Path, mode: str) -> None:
    folder = open_model(write(tmp_path / "model.nemo", mode=mode))
    assert folder.is_relative_to(tmp_path)
    assert {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")} == HONEST
    assert not any(file.stat().st_mode & 0o111 for file in folder.iterdir())
    assert open_model(tmp_path) == folder  # the folder that has it
    assert open_model(folder) == folder


def test_it_is_unpacked_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "model.nemo")
    first = unpack(path)
    made = (first / WEIGHTS).stat().st_mtime_ns
    assert unpack(path) == first
    assert (first / WEIGHTS).stat().st_mtime_ns == made
    write(path, member("more.txt", b"x"))
    second = unpack(path)
    assert second != first
    assert (second / "more.txt").is_file()
    assert not first.exists()  # it takes as much as the archive


def test_a_hubs_file_is_unpacked_under_its_hash(tmp_path: Path) -> None:
    blob = tmp_path / "models--a--b" / "blobs" / ("ab" * 32)
    blob.parent.mkdir(parents=True)
    write(blob)
    link = tmp_path / "models--a--b" / "snapshots" / "c0" / "model.nemo"
    link.parent.mkdir(parents=True)
    link.symlink_to(Path("..", "..", "blobs", blob.name))
    assert unpack(link) == tmp_path / "models--a--b" / "unpacked" / blob.name
    assert list(link.parent.iterdir()) == [link]


def test_two_at_once_get_the_same_whole_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "model.nemo", member("big.ckpt", bytes(5_000_000)))
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(unpack(path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert (found[0] / "big.ckpt").stat().st_size == 5_000_000
    assert not list(found[0].parent.glob(".draft-*"))


def test_what_a_killed_process_left_is_made_again(tmp_path: Path) -> None:
    path = write(tmp_path / "model.nemo")
    half = unpacked_folder(path)
    half.mkdir(parents=True)
    (half / CONFIG).write_text("half of it")
    draft = half.parent / ".draft-123"
    draft.mkdir()
    assert (unpack(path) / CONFIG).read_bytes() == HONEST[CONFIG]
    assert not draft.exists()


HOSTILE: dict[str, Callable[[], tuple[tarfile.TarInfo, bytes]]] = {
    "above": lambda: member("../escaped.txt", b"x"),
    "absolute": lambda: member("/tmp/escaped.txt", b"x"),
    "below": lambda: member("folder/file.txt", b"x"),
    "folder": lambda: member("folder", type=tarfile.DIRTYPE),
    "hidden": lambda: member(".bashrc.txt", b"x"),
    "symbolic link": lambda: member("link.txt", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": lambda: member("link.txt", type=tarfile.LNKTYPE, linkname=CONFIG),
    "device": lambda: member("null.txt", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "pipe": lambda: member("pipe.txt", type=tarfile.FIFOTYPE),
    "pickled tokenizer": lambda: member("tokenizer.pkl", b"\x80\x04N."),
    "script": lambda: member("run.py", b"import os"),
    "twice": lambda: member(WEIGHTS, b"others"),
    "sparse": lambda: member("sparse.ckpt", type=tarfile.GNUTYPE_SPARSE),
    "long name": lambda: member("a" * 300 + ".txt", b"x"),
    "new line": lambda: member("a\nb.txt", b"x"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_entry_that_has_no_place_there_refuses_the_whole(tmp_path: Path, kind: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = write(inner / "model.nemo", HOSTILE[kind]())
    with pytest.raises(ApiError) as refused:
        unpack(path)
    assert (refused.value.status, refused.value.code) == (422, "model_unusable")
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] in (
        ["model.nemo", ".lock"],
        [".lock", "model.nemo"],
    )


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "RATIO_FLOOR_BYTES", 2**20)
    path = write(tmp_path / "model.nemo", member("bomb.ckpt", bytes(48 * 2**20)), mode="w:gz")
    assert path.stat().st_size < 2**20
    with pytest.raises(ApiError, match="démesurée"):
        unpack(path)
    assert not list(tmp_path.rglob("bomb.ckpt"))


def test_a_size_that_the_archive_does_not_hold_is_refused(tmp_path: Path) -> None:
    info, _data = member("claimed.ckpt")
    info.size = 2**50
    path = write(tmp_path / "model.nemo")
    plain = path.read_bytes().rstrip(b"\0")
    path.write_bytes(plain + bytes(-len(plain) % 512) + info.tobuf() + bytes(1024))
    with pytest.raises(ApiError, match="démesurée"):
        unpack(path)


def test_a_header_made_to_fill_the_memory_is_refused(tmp_path: Path) -> None:
    """A pax header is read whole by tarfile, whatever its size: here 3 GB of it, in 3 MB of gzip."""
    info, _data = member("x", type=tarfile.XHDTYPE)
    info.size = 3 * 2**30
    path = tmp_path / "model.nemo"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf())
        file.write(bytes(64 * 2**20))
    with pytest.raises(ApiError, match="abîmée"):
        unpack(path)


@pytest.mark.parametrize("data", [b"", b"not a tar at all" * 100, b"\x1f\x8b broken gzip"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.nemo"
    path.write_bytes(data)
    with pytest.raises(ApiError, match="refusé"):
        unpack(path)


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.nemo", member("more.ckpt", bytes(100_000)))
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(ApiError, match="abîmée"):
        unpack(path)


def test_an_archive_without_weights_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.nemo", member(CONFIG, b"target: x"), honest=False)
    with pytest.raises(ApiError, match=WEIGHTS):
        unpack(path)


def test_two_archives_in_a_folder_are_one_too_many(tmp_path: Path) -> None:
    write(tmp_path / "a.nemo")
    assert find_archive(tmp_path) == tmp_path / "a.nemo"
    write(tmp_path / "b.nemo")
    assert find_archive(tmp_path) is None
    with pytest.raises(ApiError, match="un seul"):
        open_model(tmp_path)


def test_a_full_disk_is_told_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_DISK_MARGIN_BYTES", 2**60)
    with pytest.raises(ApiError) as refused:
        unpack(write(tmp_path / "model.nemo"))
    assert (refused.value.status, refused.value.code) == (507, "disk_full")
