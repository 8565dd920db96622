"""A small Hugging Face hub on loopback: serves model folders the way the real one does, and refuses on demand.

What huggingface_hub and Frigo need to list, measure and fetch a model: revision info (with ``?blobs=true``: sizes,
git blob ids and the sha256 of LFS files), HEAD and GET of files with ETag, X-Linked-ETag, X-Linked-Size and commit
headers, byte ranges (open and closed). With `cdn`, LFS files are redirected to another host, as the real hub does.
`faults` injects what real hubs do on bad days.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_INFO = re.compile(r"^/api/models/(?P<repo>[^/]+/[^/?]+)(?:/revision/(?P<revision>[^/?]+))?(?:\?(?P<query>.*))?$")
_TREE = re.compile(r"^/api/models/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/?]+).*$")
_FILE = re.compile(r"^/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>[^?]+)(?:\?.*)?$")
_RANGE = re.compile(r"^bytes=(\d+)-(\d*)$")
COMMIT = hashlib.sha1(b"frigo", usedforsecurity=False).hexdigest()
LFS_SUFFIXES = (".safetensors", ".bin", ".ckpt", ".npz", ".pt", ".nemo", ".onnx", ".model")
_PIECE = 64 * 1024
_MOST_STALL_S = 60.0


@dataclass
class Fault:
    """How requests whose path contains `where` fail, `times` times.

    `status` (with the hub's `error_code` and `headers`) refuses every request; the others touch only bodies of files:
    `cut_after` bytes the connection is closed, or left hanging with `stall`; `corrupt` changes the last byte sent;
    `short` announces and sends that many bytes less than there are; `slow` waits that many seconds before each 64 KiB.
    `cdn` faults are the other host's.
    """

    where: str
    status: int = 0
    error_code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    stall: bool = False
    corrupt: bool = False
    short: int = 0
    slow: float = 0.0
    cdn: bool = False
    times: int = 10**9


@dataclass
class HubServer:
    """`repos` maps "owner/name" to a folder; `seen` lists (method, path, range) in order.

    `tokens` has the Authorization header of each of these requests, `cdn_tokens` of those of the other host.
    `extra_names` are listed though no such file exists (what a hostile hub could answer).
    """

    repos: dict[str, Path]
    token: str | None = None  # when set, only this bearer token is let in
    cdn: bool = False
    ranges: bool = True
    faults: list[Fault] = field(default_factory=list)
    extra_names: list[str] = field(default_factory=list)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    cdn_tokens: list[str] = field(default_factory=list)
    url: str = ""
    commit: str = COMMIT
    _servers: list[ThreadingHTTPServer] = field(default_factory=list)
    _cdn_url: str = ""
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self, host: str = "127.0.0.1", port: int = 0) -> HubServer:
        self._stopped.clear()
        self.url = self._listen(host, self.answer, port)
        if self.cdn:
            self._cdn_url = self._listen("127.0.0.2", self.answer_cdn)
        return self

    def _listen(self, host: str, answer: Any, port: int = 0) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                try:
                    answer(self, body=body)
                except OSError:  # the client is gone
                    self.close_connection = True

            def log_message(self, *_args: Any) -> None:
                pass

        server = ThreadingHTTPServer((host, port), Handler)
        server.daemon_threads = True
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://{host}:{server.server_port}"

    def stop(self) -> None:
        self._stopped.set()
        while self._servers:
            server = self._servers.pop()
            server.shutdown()
            server.server_close()

    def ranges_of(self, name: str) -> list[str]:
        """The Range header of each GET of the file `name`, in order; "" is the whole file."""
        return [span for method, path, span in self.seen if method == "GET" and path.partition("?")[0].endswith(name)]

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = request.path
        self.seen.append((request.command, path, request.headers.get("Range", "")))
        self.tokens.append(request.headers.get("Authorization", ""))
        fault = self._fault(path, body=body, cdn=False)
        if fault is not None and fault.status:
            return self._refuse(request, fault.status, fault.error_code, fault.headers)
        if self.token is not None and self.tokens[-1] != f"Bearer {self.token}":
            return self._refuse(request, 401, "" if self.tokens[-1] else "RepoNotFound")
        if found := _INFO.match(path):
            folder = self.repos.get(found["repo"])
            if folder is None:
                return self._missing(request)
            return self._send(request, self._info(found["repo"], folder, blobs="blobs=" in (found["query"] or "")))
        if found := _TREE.match(path):
            folder = self.repos.get(found["repo"])
            return self._send(request, self._tree(folder)) if folder else self._missing(request)
        if found := _FILE.match(path):
            folder = self.repos.get(found["repo"])
            if folder is None:
                return self._missing(request)
            file = folder / found["file"]
            if not file.is_file():
                return self._refuse(request, 404, "EntryNotFound")
            if self.cdn and is_lfs(file.name):
                return self._redirect(request, file)
            return self._send_file(request, file, body=body, fault=fault)
        return self._refuse(request, 404, "")

    def answer_cdn(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        """The other host: knows nothing of tokens."""
        self.seen.append((request.command, request.path, request.headers.get("Range", "")))
        self.cdn_tokens.append(request.headers.get("Authorization", ""))
        found = _FILE.match(request.path)
        if found is None:
            return self._refuse(request, 404, "")
        fault = self._fault(request.path, body=body, cdn=True)
        if fault is not None and fault.status:
            return self._refuse(request, fault.status, fault.error_code, fault.headers)
        return self._send_file(request, self.repos[found["repo"]] / found["file"], body=body, fault=fault)

    def _fault(self, path: str, *, body: bool, cdn: bool) -> Fault | None:
        fault = next((f for f in self.faults if f.where in path and f.times > 0 and f.cdn is cdn), None)
        if fault is not None and (fault.status or (body and _FILE.match(path))):
            fault.times -= 1
        return fault

    def _info(self, repo: str, folder: Path, *, blobs: bool) -> Any:
        files: list[dict[str, Any]] = [{"rfilename": _named(path, folder)} for path in _files(folder)]
        if blobs:
            files = [_described(path, folder, "rfilename") | {"blobId": _git_id(path)} for path in _files(folder)]
        files += [{"rfilename": name, "size": 1, "blobId": "0" * 40} for name in self.extra_names]
        return {
            "id": repo,
            "modelId": repo,
            "sha": self.commit,
            "private": False,
            "tags": [],
            "downloads": 0,
            "siblings": files,
        }

    def _tree(self, folder: Path) -> Any:
        return [{"type": "file", "oid": _git_id(path), **_described(path, folder, "path")} for path in _files(folder)]

    def _missing(self, request: BaseHTTPRequestHandler) -> None:
        self._refuse(request, 404, "RepoNotFound")

    def _refuse(
        self, request: BaseHTTPRequestHandler, status: int, code: str, headers: dict[str, str] | None = None
    ) -> None:
        request.send_response(status)
        if code:
            request.send_header("X-Error-Code", code)
        request.send_header("X-Error-Message", "Invalid credentials" if status == 401 else "refused")
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _send(self, request: BaseHTTPRequestHandler, payload: Any) -> None:
        data = json.dumps(payload).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _redirect(self, request: BaseHTTPRequestHandler, file: Path) -> None:
        request.send_response(302)
        self._send_identity(request, file)
        request.send_header("Location", f"{self._cdn_url}{request.path}")
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _send_identity(self, request: BaseHTTPRequestHandler, file: Path) -> None:
        request.send_header("X-Repo-Commit", self.commit)
        if is_lfs(file.name):
            request.send_header("X-Linked-ETag", f'"{_sha256(file)}"')
            request.send_header("X-Linked-Size", str(file.stat().st_size))
            request.send_header("ETag", f'"{hashlib.md5(file.name.encode(), usedforsecurity=False).hexdigest()}"')
        else:
            request.send_header("ETag", f'"{_git_id(file)}"')

    def _send_file(self, request: BaseHTTPRequestHandler, file: Path, *, body: bool, fault: Fault | None) -> None:
        size = file.stat().st_size
        start, end = 0, size - 1
        asked = _RANGE.match(request.headers.get("Range", "")) if self.ranges else None
        if asked is not None:
            start, end = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
            if start > end:
                return self._refuse(request, 416, "", {"Content-Range": f"bytes */{size}"})
        length = end - start + 1
        if fault is not None and body:
            length = max(length - fault.short, 0)
        request.send_response(206 if asked else 200)
        self._send_identity(request, file)
        request.send_header("Accept-Ranges", "bytes")
        if asked:
            request.send_header("Content-Range", f"bytes {start}-{start + length - 1}/{size}")
        request.send_header("Content-Length", str(length))
        request.end_headers()
        if body:
            self._send_body(request, file, start, length, fault)
        return None

    def _send_body(
        self, request: BaseHTTPRequestHandler, file: Path, start: int, length: int, fault: Fault | None
    ) -> None:
        left = length if fault is None or fault.cut_after is None else min(length, fault.cut_after)
        with file.open("rb") as source:
            source.seek(start)
            while left > 0:
                if fault is not None and fault.slow:
                    time.sleep(fault.slow)
                piece = source.read(min(left, _PIECE))
                if not piece:  # a sparse or truncated file ends early
                    break
                left -= len(piece)
                if fault is not None and fault.corrupt and left == 0:
                    piece = piece[:-1] + bytes([piece[-1] ^ 0xFF])
                request.wfile.write(piece)
        if fault is not None and fault.cut_after is not None:
            request.wfile.flush()
            if fault.stall:
                self._stopped.wait(_MOST_STALL_S)
            request.close_connection = True


def is_lfs(name: str) -> bool:
    """True for the files that real repositories keep in LFS."""
    return name.endswith(LFS_SUFFIXES)


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _named(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _described(path: Path, folder: Path, name: str) -> dict[str, Any]:
    size = path.stat().st_size
    said: dict[str, Any] = {name: _named(path, folder), "size": size}
    if is_lfs(path.name):
        said["lfs"] = {"sha256": _sha256(path), "oid": _sha256(path), "size": size, "pointerSize": 134}
    return said


_HASHES: dict[tuple[str, int, int, str], str] = {}


def _digest(path: Path, kind: str) -> str:
    """sha256 or git's blob id; remembered, because the files of a hub are big and asked for often."""
    stat = path.stat()
    key = (str(path), stat.st_mtime_ns, stat.st_size, kind)
    if key not in _HASHES:
        digest = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % stat.st_size)
        with path.open("rb") as file:
            while piece := file.read(2**20):
                digest.update(piece)
        _HASHES[key] = digest.hexdigest()
    return _HASHES[key]


def _sha256(path: Path) -> str:
    return _digest(path, "sha256")


def _git_id(path: Path) -> str:
    if is_lfs(path.name):  # git holds a pointer; its id is not the content's
        pointer = (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{_sha256(path)}\nsize {path.stat().st_size}\n"
        )
        data = pointer.encode()
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return _digest(path, "git")


def main(folder: str, port: str) -> None:
    """`python tests/hub_server.py FOLDER PORT`: the models FOLDER/owner/name, to every address, until it is stopped; to
    whoever has the token HUB_TOKEN, when there is one."""
    repos = {path.relative_to(folder).as_posix(): path for path in Path(folder).glob("*/*") if path.is_dir()}
    token = os.environ.get("HUB_TOKEN")
    HubServer(repos=repos, token=token).start("0.0.0.0", int(port))  # in a container, for its neighbours
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
