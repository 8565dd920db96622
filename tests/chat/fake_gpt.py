"""gpt with a script: a real HTTP server whose answers are enqueued, that remembers what it was asked."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, Response, jsonify, request

EMBEDDED = {
    "id": "frigo-mini",
    "object": "model",
    "created": 0,
    "owned_by": "frigo",
    "aliases": ["embedded"],
    "embedded": True,
    "context": 1024,
    "state": "ready",
}
BIG = {**EMBEDDED, "id": "qwen3-4b", "aliases": ["qwen"], "embedded": False, "context": 8192, "state": "downloaded"}


class FakeGpt:
    """`app` is the WSGI application. Without anything enqueued it answers with the last message, reversed."""

    def __init__(self) -> None:
        self.models: list[dict[str, Any]] = [EMBEDDED, BIG]
        self.chosen = "frigo-mini"
        self.ready = True
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.raw: list[bytes] = []
        self._answers: list[Any] = []
        self.reply: Callable[[dict[str, Any]], Any] | None = None  # what answers when nothing is enqueued
        self._recordings: list[bytes] = []
        self.refuses: Callable[[dict[str, Any]], tuple[int, dict[str, Any]] | None] = lambda _body: None
        """A status and an error object for what it will not stream."""
        self.chunks_sent = 0
        self.stream_closed = threading.Event()
        self.permits: threading.Semaphore | None = None  # when set, each chunk takes one
        self.app = self._make()

    def enqueue(self, *answers: Any) -> None:
        """Next answers: text, a JSON value (its compact text), (status, error body), or ("cut", text)."""
        self._answers.extend(answers)

    def play(self, *recordings: bytes) -> None:
        """Next streams, as they were recorded; each event is sent alone."""
        self._recordings.extend(recordings)

    @property
    def left(self) -> int:
        """Answers nobody asked for."""
        return len(self._answers)

    def _make(self) -> Flask:
        app = Flask("fake_gpt")

        @app.get("/ready")
        def ready() -> Any:
            state = "ready" if self.ready else "loading"
            return {"status": state, "components": {"model": state}}, 200 if self.ready else 503

        @app.get("/v1/models")
        def models() -> Any:
            return jsonify(object="list", data=self.models)

        @app.get("/v1/models/<path:name>")
        def model(name: str) -> Any:
            found = next((m for m in self.models if name in {m["id"], *m["aliases"]}), None)
            return jsonify(found) if found else _error(404, "model_not_found", f"Modèle inconnu : {name}", "model")

        @app.get("/api/models")
        def lifecycle() -> Any:
            return jsonify(models=[], selection={"chosen": self.chosen})

        @app.post("/v1/completions")
        @app.post("/v1/chat/completions")
        def complete() -> Any:
            self.raw.append(request.get_data())
            self.headers.append(dict(request.headers))
            body = request.get_json(silent=True)
            if not isinstance(body, dict):
                return _error(400, "invalid_json", "Le corps de la requête n'est pas un objet JSON valide.")
            self.requests.append(body)
            if body.get("stream"):
                if refusal := self.refuses(body):
                    return jsonify(error=refusal[1]), refusal[0]
                return self._stream(body)
            if self.permits is not None:
                self._wait_for_leave_or_permit()
            if not self._answers and self.reply is not None:
                self._answers.append(self.reply(body))
            answer = self._answers.pop(0) if self._answers else body["messages"][-1]["content"][::-1]
            if isinstance(answer, tuple) and isinstance(answer[0], int):
                return jsonify(answer[1]), answer[0]
            cut = isinstance(answer, tuple)
            text = answer[1] if isinstance(answer, tuple) else answer
            if not isinstance(text, str):
                text = json.dumps(text, ensure_ascii=False, separators=(",", ":"))
            return _completion(len(self.requests), body, text, "length" if cut else "stop")

        @app.post("/v1/embeddings")
        def embed() -> Any:
            body = request.get_json()
            self.requests.append(body)
            data = [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}]
            usage = {"prompt_tokens": 5, "total_tokens": 5}
            return jsonify(object="list", data=data, model=body.get("model") or "frigo-mini", usage=usage)

        return app

    def _wait_for_leave_or_permit(self) -> None:
        """An answer in one piece that takes its time; notices, as gpt does, that its reader has left."""
        connection = request.environ["werkzeug.socket"]
        for _ in range(1200):
            if self.permits is None or self.permits.acquire(timeout=0.05):
                return
            readable, _w, _x = select.select([connection], [], [], 0)
            if readable and connection.recv(1, socket.MSG_PEEK) == b"":
                self.stream_closed.set()
                return

    def _stream(self, body: dict[str, Any]) -> Response:
        count = int(body.get("max_tokens") or 5)
        connection = request.environ["werkzeug.socket"] if "breaks_after" in body else None
        null_usage = {"usage": None} if (body.get("stream_options") or {}).get("include_usage") else {}

        def recorded(recording: bytes) -> Iterator[bytes]:
            for event in recording.split(b"\n\n"):
                if event.strip():
                    yield event.strip() + b"\n\n"

        if self._recordings:
            return Response(recorded(self._recordings.pop(0)), content_type="text/event-stream; charset=utf-8")

        def chunks() -> Iterator[bytes]:
            try:
                for number in range(count):
                    if self.permits is not None:
                        self.permits.acquire(timeout=60)
                    if number == body.get("breaks_after"):
                        connection.shutdown(socket.SHUT_RDWR)
                    self.chunks_sent += 1
                    delta = {"choices": [{"index": 0, "delta": {"content": f"é{number} "}}], **null_usage}
                    yield f"data: {json.dumps(delta, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
                    time.sleep(body.get("pace", 0.0))
                if null_usage:
                    usage = {"prompt_tokens": 11, "completion_tokens": count, "total_tokens": 11 + count}
                    yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n".encode()
                yield b"data: [DONE]\n\n"
            finally:
                self.stream_closed.set()

        return Response(chunks(), content_type="text/event-stream; charset=utf-8")


def _completion(number: int, body: dict[str, Any], text: str, finish: str) -> Any:
    return jsonify(
        id=f"chatcmpl-{number}",
        object="chat.completion",
        created=1,
        model=body.get("model") or "frigo-mini",
        choices=[{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    )


def _error(status: int, code: str, message: str, param: str | None = None) -> Any:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return jsonify(error={"message": message, "type": kind, "param": param, "code": code}), status
