"""The part of Hugging Face's API that puts a Space online, on loopback: it keeps what it is sent, and can refuse."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

TOKEN = "hf_jeton_de_test"
_LFS_FROM = 100_000  # bytes


@dataclass
class SpaceHub:
    """`files` are those of the one Space there may be; `stages` what its runtime tells, one after the other, the last
    again and again. `refuse` maps a part of a path to a status and a reason."""

    stages: list[str] = field(default_factory=lambda: ["BUILDING", "APP_STARTING", "RUNNING"])
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    repo: str | None = None
    created: dict[str, Any] = field(default_factory=dict)
    hardware: str = "cpu-basic"
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    url: str = ""
    _objects: dict[str, bytes] = field(default_factory=dict)
    _server: ThreadingHTTPServer | None = None

    def start(self) -> SpaceHub:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = hub.answer(self.command, unquote(self.path), body, self.headers)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                if status >= 400 and isinstance(answer, dict):
                    self.send_header("X-Error-Message", str(answer.get("error")))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = _serve  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        self.seen.append(f"{method} {path}")
        for part, (status, reason) in self.refuse.items():
            if part in path:
                return status, {"error": reason}
        if path.startswith("/objects/"):
            self._objects[path.removeprefix("/objects/")] = body
            return 200, {}
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"error": "Invalid username or password."}
        if path.startswith("/api/whoami"):
            return 200, {"name": "claire", "type": "user"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        found = re.match(r"(?:/api)?/spaces/([^/]+/[^/.]+)(?:\.git)?/?(.*)", path)
        if found is None or found[1] != self.repo:
            return 404, {"error": "Repository not found"}
        return self._of_space(method, found[2].partition("?")[0], body)

    def _create(self, asked: dict[str, Any]) -> tuple[int, Any]:
        name = f"{asked.get('organization') or 'claire'}/{asked['name']}"
        if self.repo == name:
            return 409, {"error": "You already created this space repo", "url": f"{self.url}/spaces/{name}"}
        self.repo, self.created = name, asked
        return 200, {"url": f"{self.url}/spaces/{name}", "id": name}

    def _of_space(self, method: str, what: str, body: bytes) -> tuple[int, Any]:
        asked = json.loads(body) if body.startswith(b"{") and b"\n{" not in body else {}
        if what == "hardware":
            self.hardware = asked["flavor"]
            return 200, self._runtime("BUILDING")
        if what in {"secrets", "variables"}:
            getattr(self, what)[asked["key"]] = asked["value"]
            return 200, {name: {"value": value} for name, value in self.variables.items()}
        if what == "runtime":
            return 200, self._runtime(self.stages.pop(0) if len(self.stages) > 1 else self.stages[0])
        if what.startswith("preupload/"):
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] > _LFS_FROM else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in asked["files"]
            ]
            return 200, {"files": modes}
        if what == "info/lfs/objects/batch":
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.url}/objects/{one['oid']}", "header": {}}}}
                for one in asked["objects"]
            ]
            return 200, {"transfer": "basic", "objects": objects}
        if what.startswith("commit/"):
            return self._commit([json.loads(line) for line in body.splitlines() if line])
        if what.startswith("tree/"):
            return 200, [
                {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for path, data in self.files.items()
            ]
        if what in {"", "revision/main"}:
            siblings = [{"rfilename": path} for path in self.files]
            return 200, {"id": self.repo, "sha": "0" * 40, "siblings": siblings, "private": False, "tags": []}
        return 404, {"error": f"unknown: {method} {what}"}

    def _commit(self, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                data = self._objects[value["oid"]]
                assert hashlib.sha256(data).hexdigest() == value["oid"]
                self.files[value["path"]] = data
            elif line["key"] == "deletedFile":
                self.files.pop(value["path"])
        oid = "1" * 40
        return 200, {"success": True, "commitOid": oid, "commitUrl": f"{self.url}/spaces/{self.repo}/commit/{oid}"}

    def _runtime(self, stage: str) -> dict[str, Any]:
        error = {"errorMessage": "ModuleNotFoundError: gradio"} if stage.endswith("ERROR") else {}
        hardware = {"current": self.hardware, "requested": self.hardware}
        return {"stage": stage, "hardware": hardware, "storage": None, "gcTimeout": None, **error}
