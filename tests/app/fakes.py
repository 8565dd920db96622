"""Small real HTTP servers in the place of the services behind app, and what the tests of app share."""

from __future__ import annotations

import json
import queue
import threading
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from flask import Flask, Response, jsonify, request

ADMIN = "admin-token-of-the-tests"
SERVICE = "service-token-of-the-tests"


@dataclass
class FakeServices:
    """asr, diarize and chat in one server: what they answer, and what they were asked."""

    words: list[tuple[str, float, float]] = field(
        default_factory=lambda: [("hello", 0.0, 0.4), ("there", 0.5, 0.9), ("hi", 1.2, 1.5), ("Anna", 1.6, 2.0)]
    )
    turns: list[tuple[str, float, float]] = field(
        default_factory=lambda: [("SPEAKER_00", 0.0, 1.0), ("SPEAKER_01", 1.1, 2.1)]
    )
    asr_warnings: list[str] = field(default_factory=list)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    """name → (status, code): what that service answers instead of working."""
    gates: dict[str, threading.Event] = field(default_factory=dict)
    """name → an event that its answer waits for."""
    calls: list[str] = field(default_factory=list)
    bodies: dict[str, Any] = field(default_factory=dict)
    tokens: set[str | None] = field(default_factory=set)

    def enter(self, name: str) -> Response | None:
        self.tokens.add(request.headers.get("X-Service-Token"))
        self.calls.append(name)
        if name in self.refusals:
            status, code = self.refusals[name]
            error = {"message": f"{name} refuse", "type": "x", "param": None, "code": code}
            return Response(json.dumps({"error": error}), status, content_type="application/json")
        return None

    def wait(self, name: str) -> None:
        if gate := self.gates.get(name):
            gate.wait(30)

    def transcription(self) -> dict[str, Any]:
        words = [{"word": w, "start": s, "end": e, "confidence": 0.9} for w, s, e in self.words]
        text = " ".join(w for w, _s, _e in self.words)
        segments = [{"start": 0.0, "end": 2.1, "text": text}] if words else []
        head = {"text": text, "language": "en", "duration": 2.1, "segments": segments, "words": words}
        return head | {"engine": "fake", "model": "fake-asr", "warnings": self.asr_warnings}

    def diarization(self) -> dict[str, Any]:
        segments = [{"speaker": who, "start": s, "end": e} for who, s, e in self.turns]
        return {"segments": segments, "speakers": [], "duration": 2.1, "engine": "fake", "model": "fake-diarize"}

    def app(self) -> Flask:
        app = Flask("fake")

        def progressive(name: str, answer: Callable[[], dict[str, Any]]) -> Response:
            self.bodies[name] = request.files["file"].read()
            if refused := self.enter(name):
                return refused
            if request.args.get("stream") != "true":
                self.wait(name)
                return jsonify(answer())

            def events() -> Iterator[bytes]:
                yield b'event: progress\ndata: {"progress": 0.5}\n\n'
                self.wait(name)
                yield f"event: result\ndata: {json.dumps(answer())}\n\n".encode()

            return Response(events(), content_type="text/event-stream")

        @app.post("/api/audio/transcribe")
        def asr() -> Response:
            return progressive("asr", self.transcription)

        @app.post("/api/diarization/process")
        def diarize() -> Response:
            return progressive("diarize", self.diarization)

        @app.post("/api/minutes")
        def minutes() -> Response:
            self.bodies["minutes"] = request.json
            if refused := self.enter("minutes"):
                return refused
            self.wait("minutes")
            who = request.json["transcript"].splitlines()[0].split(":")[0]
            actions = [{"who": who, "what": "say hello", "when": ""}]
            body = {"summary": f"{who} says hello.", "decisions": ["hi Anna"], "actions": actions, "open_points": []}
            return jsonify(body | {"markdown": f"**{who}**", "model": "fake-chat"})

        @app.post("/api/diagrams")
        def diagrams() -> Response:
            self.bodies["diagram"] = request.json
            if refused := self.enter("diagram"):
                return refused
            self.wait("diagram")
            at = request.json["text"].index("Hi Anna")
            node = {"id": "n1", "label": "hi Anna", "kind": "action", "actor": "human"}
            node["source"] = {"start": at, "end": at + len("hi Anna"), "score": 1.0}
            graph = {"nodes": [node], "edges": []}
            body = {"mermaid": 'flowchart TD\n  n1["hi Anna"]', "valid": True, "kind": "flowchart", "graph": graph}
            return jsonify(body | {"repairs": 0, "model": "fake-chat", "warnings": []})

        @app.get("/health")
        @app.get("/ready")
        def up() -> dict[str, str]:
            return {"status": "ok"}

        return app


@dataclass
class Upstream:
    """A server that tells what it received and answers as it is told."""

    seen: list[dict[str, Any]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    tokens: queue.Queue[bytes | None] = field(default_factory=queue.Queue)
    received: int = 0

    def app(self) -> Flask:
        app = Flask("upstream")
        app.config["MAX_CONTENT_LENGTH"] = None

        @app.route("/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
        def anything(path: str) -> Any:
            headers = {name.lower(): value for name, value in request.headers}
            query = request.query_string.decode()
            self.seen.append({"path": path, "headers": headers, "method": request.method, "query": query})
            if path.endswith("/slow"):
                return Response(self.stream(), content_type="text/event-stream")
            if path.endswith("/teapot"):
                return Response("{}", 418, {"X-Upstream": "yes", "Set-Cookie": "a=b", "Connection": "close"})
            self.received = 0
            while block := request.stream.read(65536):
                self.received += len(block)
            return {"received": self.received}

        return app

    def stream(self) -> Iterator[bytes]:
        try:
            while (token := self.tokens.get(timeout=30)) is not None:
                yield token
        finally:
            self.left.set()


def tone(seconds: float, rate: int = 16_000) -> bytes:
    """A WAV file that holds something else than silence."""
    data = BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(
            bytes(2 * int(seconds * rate)) if seconds == 0 else b"\x00\x10\x00\xf0" * int(seconds * rate / 2)
        )
    return data.getvalue()


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for `condition` to be true and return its value; fails after `seconds`."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError("the condition did not come true in time")
