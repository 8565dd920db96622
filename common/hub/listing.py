"""What a hub says a model is made of, and which of its files are worth fetching: safe ones, once, within limits.

A language model's files lie at the repository's root, in formats that run nothing. An engine that opens something
else (`Choose`) may take files of other formats, one or two folders deep, and answers for how it opens them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from common.hub.errors import untrusted
from common.messages import _

WEIGHTS = "*.safetensors"
INDEX = "model.safetensors.index.json"
SMALL = ("*.json", "*.model", "*.txt", "*.jinja")
UNWANTED = (
    "consolidated*",  # Mistral's own layout, the same weights again
    "*.fp16*.safetensors",
    "*.fp32*.safetensors",
    "*.bf16*.safetensors",
    "*.index.*.json",
    "training_args*",
    "trainer_state*",
    "optimizer*",
    "scheduler*",
    "*_results.json",
    "README*",
    "LICENSE*",
)
MAX_FILES = 1000  # the biggest open models have fewer than 200 shards
MAX_LISTED = 20_000  # files in the repository
BIG = ("*.safetensors", "*.bin", "*.ckpt", "*.nemo", "*.npz", "*.onnx", "*.pt", "*.pth")
MAX_SMALL_BYTES = 64 * 2**20  # the biggest tokenizer.json we know has 35 MB
MAX_SMALL_TOTAL = 256 * 2**20

_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.safetensors")
_WORD = r"[A-Za-z0-9_][\w.+@ ()\[\]-]{0,199}"  # a file's or folder's name; never "." first
_NAME = re.compile(_WORD, re.ASCII)
_PLACE = re.compile(rf"{_WORD}(/{_WORD}){{0,2}}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository. `digest` is what its content must hash to: sha256 (LFS) or git's blob id (sha1)."""

    name: str
    size: int | None
    digest: str | None

    @property
    def is_weights(self) -> bool:
        """True for what may be as big as a model; every other file is a configuration, and small."""
        return any(fnmatch(self.name, pattern) for pattern in BIG)


@dataclass(frozen=True)
class Listing:
    """A revision as the hub describes it: the commit it stands for and its files, at most two folders deep."""

    repo_id: str
    commit: str
    files: tuple[RemoteFile, ...]

    def find(self, name: str) -> RemoteFile | None:
        return next((file for file in self.files if file.name == name), None)


Choose = Callable[[Listing], list[RemoteFile]]


def wanted(name: str) -> bool:
    """True for the files worth fetching: at the repository's root, loadable without running anything."""
    if not _NAME.fullmatch(name):
        return False
    return any(fnmatch(name, pattern) for pattern in (WEIGHTS, *SMALL)) and not any(fnmatch(name, p) for p in UNWANTED)


def choose_files(listing: Listing) -> list[RemoteFile]:
    """The files of a language model: small ones first, then one copy of the weights (shards before a single file)."""
    files = [file for file in listing.files if wanted(file.name)]
    small = [file for file in files if not file.is_weights]
    weights = [file for file in files if file.is_weights]
    shards = _whole_set(weights) if listing.find(INDEX) is not None else []
    single = [file for file in weights if file.name == "model.safetensors"]
    if not shards:  # without its index, a set of shards says nothing of what it holds
        small = [file for file in small if file.name != INDEX] if single else small
    return sorted(small, key=lambda file: file.name) + (shards or single or sorted(weights, key=lambda f: f.name))


def follow_index(index: Mapping[str, Any], listing: Listing, chosen: Iterable[RemoteFile]) -> list[RemoteFile]:
    """`chosen` with exactly the weight files that the index (``model.safetensors.index.json``, read) names.

    Raises `ApiError` 502 `hub_invalid` when the repository lacks one of them.
    """
    named = index.get("weight_map")
    names = sorted({str(name) for name in named.values()}) if isinstance(named, dict) else []
    files = [listing.find(name) for name in names if wanted(name)]
    weights = [file for file in files if file is not None]
    if not weights or len(weights) != len(names):
        missing = next((name for name in names if listing.find(name) is None or not wanted(name)), INDEX)
        raise untrusted(listing.repo_id, _("son index nomme %(file)s, qui n'y est pas", file=repr(missing[:80])))
    return [file for file in chosen if not file.is_weights] + weights


def read_listing(repo_id: str, said: object) -> Listing:
    """The API's answer, checked. Raises `ApiError` 502 `hub_invalid`."""
    if not isinstance(said, dict) or not isinstance(said.get("siblings"), list):
        raise untrusted(repo_id, _("sa liste de fichiers est illisible"))
    commit = said.get("sha")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise untrusted(repo_id, _("sa révision n'a pas d'empreinte"))
    if len(said["siblings"]) > MAX_LISTED:
        raise untrusted(repo_id, _("il a plus de %(count)s fichiers", count=MAX_LISTED))
    files = [_read_file(item) for item in said["siblings"] if isinstance(item, dict)]
    return Listing(repo_id, commit, tuple(file for file in files if file is not None))


def _read_file(item: Mapping[str, Any]) -> RemoteFile | None:
    """One file; None for a name that is none ("..", hidden files, strange characters) or lies too deep."""
    name, size, lfs = item.get("rfilename"), item.get("size"), item.get("lfs")
    if not isinstance(name, str) or not _PLACE.fullmatch(name):
        return None
    digest = item.get("blobId")
    if isinstance(lfs, dict):
        digest, size = lfs.get("sha256") or lfs.get("oid"), lfs.get("size", size)
    known = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return RemoteFile(name, size if known else None, digest if is_digest(digest) else None)


def is_digest(value: object) -> bool:
    """True for a sha256 or a git blob id in hexadecimal: it names a file on our disk."""
    return isinstance(value, str) and bool(_SHA256.fullmatch(value) or _SHA1.fullmatch(value))


def check_limits(repo_id: str, files: list[RemoteFile]) -> None:
    """Refuse what no honest model has. Raises `ApiError` 502 `hub_invalid`."""
    if len(files) > MAX_FILES:
        raise untrusted(repo_id, _("il a plus de %(count)s fichiers", count=MAX_FILES))
    _check_names(repo_id, [file.name for file in files])
    small = [file for file in files if not file.is_weights]
    for file in small:
        if (file.size or 0) > MAX_SMALL_BYTES:
            raise untrusted(repo_id, _("%(file)s dépasse %(most)s Mo", file=file.name, most=MAX_SMALL_BYTES // 2**20))
    if sum(file.size or 0 for file in small) > MAX_SMALL_TOTAL:
        raise untrusted(
            repo_id, _("ses fichiers de configuration dépassent %(most)s Mo", most=MAX_SMALL_TOTAL // 2**20)
        )


def _check_names(repo_id: str, names: list[str]) -> None:
    """Names become paths on our disk, whoever chose them: each once, and none both a file and a folder."""
    taken: set[str] = set()
    for name in sorted(names, reverse=True):  # "a/b" before "a"
        if not _PLACE.fullmatch(name) or name in taken:
            raise untrusted(repo_id, _("le nom de fichier %(file)s n'est pas acceptable", file=repr(name[:80])))
        parts = name.split("/")
        taken.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
        taken.add(name)


def _whole_set(weights: list[RemoteFile]) -> list[RemoteFile]:
    """The complete set of shards, `model-*` preferred, or nothing."""
    sets: dict[tuple[bool, str, str], list[RemoteFile]] = {}
    for file in weights:
        if found := _SHARD.fullmatch(file.name):
            sets.setdefault((found["stem"] != "model", found["stem"], found["count"]), []).append(file)
    for (_other, _stem, count), files in sorted(sets.items()):
        if len(files) == int(count):
            return sorted(files, key=lambda file: file.name)
    return []
