"""A small Hugging Face hub on loopback: serves model folders the way the real one does, and refuses on demand.

Only what huggingface_hub needs to list and fetch a model: revision info, HEAD and GET of files with ETag, size and
commit headers, byte ranges. `faults` injects what real hubs do on bad days.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_INFO = re.compile(r"^/api/models/(?P<repo>[^/]+/[^/]+)(?:/revision/(?P<revision>[^/?]+))?(?:\?.*)?$")
_TREE = re.compile(r"^/api/models/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/?]+).*$")
_FILE = re.compile(r"^/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>[^?]+)(?:\?.*)?$")
COMMIT = hashlib.sha1(b"frigo", usedforsecurity=False).hexdigest()


@dataclass
class Fault:
    """How requests whose path contains `where` fail: a status (with the hub's error code), or a body cut short."""

    where: str
    status: int = 0
    error_code: str = ""
    cut_after: int | None = None  # bytes of the body sent before the connection is closed
    times: int = 10**9


@dataclass
class HubServer:
    """`repos` maps "owner/name" to a folder; `seen` lists (method, path, range) in order."""

    repos: dict[str, Path]
    token: str | None = None  # when set, only this bearer token is let in
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    url: str = ""
    _server: ThreadingHTTPServer | None = None

    def start(self) -> HubServer:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = request.path
        self.seen.append((request.command, path, request.headers.get("Range", "")))
        self.tokens.append(request.headers.get("Authorization", ""))
        fault = next((f for f in self.faults if f.where in path and f.times > 0), None)
        if fault is not None and (fault.status or body):
            fault.times -= 1
        if fault is not None and fault.status:
            return self._refuse(request, fault.status, fault.error_code)
        if self.token is not None and self.tokens[-1] != f"Bearer {self.token}":
            return self._refuse(request, 401, "" if self.tokens[-1] else "RepoNotFound")
        if found := _INFO.match(path):
            folder = self.repos.get(found["repo"])
            return self._send(request, self._info(found["repo"], folder)) if folder else self._missing(request)
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
            return self._send_file(request, file.read_bytes(), body=body, cut=fault.cut_after if fault else None)
        return self._refuse(request, 404, "")

    def _info(self, repo: str, folder: Path) -> Any:
        files = [{"rfilename": p.name, "size": p.stat().st_size} for p in sorted(folder.iterdir()) if p.is_file()]
        return {
            "id": repo,
            "modelId": repo,
            "sha": COMMIT,
            "private": False,
            "tags": [],
            "downloads": 0,
            "siblings": files,
        }

    def _tree(self, folder: Path) -> Any:
        files = [p for p in sorted(folder.iterdir()) if p.is_file()]
        return [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": _etag(p.read_bytes())} for p in files]

    def _missing(self, request: BaseHTTPRequestHandler) -> None:
        self._refuse(request, 404, "RepoNotFound")

    def _refuse(self, request: BaseHTTPRequestHandler, status: int, code: str) -> None:
        request.send_response(status)
        if code:
            request.send_header("X-Error-Code", code)
        request.send_header("X-Error-Message", "Invalid credentials" if status == 401 else "refused")
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _send(self, request: BaseHTTPRequestHandler, payload: Any) -> None:
        data = json.dumps(payload).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _send_file(self, request: BaseHTTPRequestHandler, data: bytes, *, body: bool, cut: int | None) -> None:
        start = 0
        if wanted := re.match(r"bytes=(\d+)-", request.headers.get("Range", "")):
            start = int(wanted[1])
        request.send_response(206 if start else 200)
        request.send_header("ETag", f'"{_etag(data)}"')
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("Accept-Ranges", "bytes")
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        if not body:
            return
        request.wfile.write(data[start:] if cut is None else data[start : start + cut])
        if cut is not None:
            request.wfile.flush()
            request.close_connection = True


def _etag(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
