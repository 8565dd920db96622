"""An OpenAI-compatible server with faults, on a real socket: HTTP/1.1, chunked, one thread a call.

What a call meets is asked for in the request itself (``fault``, ``chunks``…), which is also a proof that fields that
nobody knows go through.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 20.0
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class Upstream:
    """`url` is its address; `bodies` and `headers` are what it was sent, `sent` every byte of the last answer."""

    def __init__(self) -> None:
        self.models: list[dict[str, Any]] | None = [
            {"id": "qwen3:8b", "object": "model", "max_model_len": 4096},
            {"id": "phi:latest", "object": "model"},
        ]
        self.aliases: set[str] = set()
        self.fails_every = 0  # every so many questions about its models, one fails
        self.key: str | None = None
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.sent = b""
        self.permits = threading.Semaphore(0)
        self.reader_left = threading.Event()
        self.entered = threading.Event()
        self.connections: list[socket.socket] = []
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def start(self, port: int = 0) -> None:
        upstream = self

        class Handler(_Handler):
            server_of = upstream

            def setup(self) -> None:
                super().setup()
                upstream.connections.append(self.connection)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            for connection in self.connections:  # kept alive, they would be served on
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @property
    def last(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.bodies[-1])
        return body


def events(body: dict[str, Any]) -> Iterator[bytes]:
    """A stream as vLLM, llama-server and others write them, with what a parser could lose."""
    for number in range(int(body.get("chunks", 3))):
        said = {"content": f"é{number} ", **body.get("also_said", {})}
        delta = {"id": "cmpl-7", "model": body["model"], "choices": [{"index": 0, "delta": said}]}
        yield f"data: {json.dumps(delta, ensure_ascii=number % 2 == 0)}\n\n".encode()
    yield b': a comment of the server\n\ndata: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\r\n\r\n'
    if body.get("stream_options"):
        yield f"data: {json.dumps({'choices': [], 'usage': USAGE})}\n\n".encode()
    yield b"data: [DONE]\n\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: Upstream

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        up = self.server_of
        up.paths.append(self.path)
        up.headers.append(dict(self.headers))
        name = self.path.removeprefix("/v1/models").lstrip("/")
        if up.key is not None and self.headers.get("Authorization") != f"Bearer {up.key}":
            self._json(401, {"error": {"message": f"Incorrect API key: {self.headers.get('Authorization')}"}})
        elif up.fails_every and len(up.paths) % up.fails_every == 0:
            self._json(500, {})
        elif up.models is None:
            self._answer(200, "text/html", b"<html>It works!</html>")
        elif not self.path.startswith("/v1/models"):
            self._json(404, {"detail": "Not Found"})
        elif not name:
            self._json(200, {"object": "list", "data": up.models})
        elif name in up.aliases:
            self._json(200, {"id": "the-real-name", "context_length": 2048})
        else:
            self._json(404, {"error": {"message": "no such model", "code": None}})

    def do_POST(self) -> None:
        up = self.server_of
        up.paths.append(self.path)
        up.headers.append(dict(self.headers))
        up.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        body = up.last
        up.entered.set()
        fault = body.get("fault")
        if fault is not None and fault.startswith("status:"):
            _kind, status, kind, text = fault.split(":", 3)
            self._answer(int(status), kind, text.encode(), body.get("answer_headers", {}))
        elif fault == "hang":
            self._wait_for_the_reader_to_leave()
        elif body.get("stream"):
            self._stream(body, fault)
        else:
            said = {"content": "été", **body.get("also_said", {})}
            text = {"model": body["model"], "choices": [{"message": said}], "usage": USAGE}
            self._answer(200, "application/json", json.dumps(text, ensure_ascii=False, indent=1).encode())

    def _stream(self, body: dict[str, Any], fault: str | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", body.get("content_type", "text/event-stream; charset=utf-8"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        up, number = self.server_of, 0
        up.sent = b""
        try:
            for event in events(body):
                if body.get("paced"):
                    assert up.permits.acquire(timeout=PATIENCE)
                if fault == "cut" and number == 2:
                    self._chunk(event[: len(event) // 2])
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if fault == "ends early" and number == 2:
                    break
                for piece in (event[:9], event[9:]) if body.get("in_pieces") else (event,):
                    self._chunk(piece)
                    up.sent += piece
                    time.sleep(0.002 if body.get("in_pieces") else 0)
                number += 1
            self._chunk(b"")
        except OSError:
            up.reader_left.set()
            self.close_connection = True

    def _chunk(self, piece: bytes) -> None:
        readable, _w, _x = select.select([self.connection], [], [], 0)
        if readable and self.connection.recv(1, socket.MSG_PEEK) == b"":
            raise ConnectionResetError
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.flush()

    def _wait_for_the_reader_to_leave(self) -> None:
        readable, _w, _x = select.select([self.connection], [], [], PATIENCE)
        if readable and self.connection.recv(1, socket.MSG_PEEK) == b"":
            self.server_of.reader_left.set()
        self.close_connection = True

    def _json(self, status: int, body: object) -> None:
        self._answer(status, "application/json", json.dumps(body).encode())

    def _answer(self, status: int, kind: str, data: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.server_of.sent = data
        self.wfile.write(data)
