"""Small real HTTP servers in the place of the services behind app, and what the tests of app share."""

from __future__ import annotations

import json
import math
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


def event(name: str, data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


@dataclass
class FakeServices:
    """asr, diarize and chat in one server: what they answer, and what they were asked."""

    words: list[tuple[str, float, float]] = field(
        default_factory=lambda: [("hello", 0.0, 0.4), ("there", 0.5, 0.9), ("hi", 1.2, 1.5), ("Anna", 1.6, 2.0)]
    )
    turns: list[tuple[str, float, float]] = field(
        default_factory=lambda: [("SPEAKER_00", 0.0, 1.0), ("SPEAKER_01", 1.1, 2.1)]
    )
    exclusive: list[tuple[str, float, float]] | None = None
    """Turns with one speaker at a time; None: the same."""
    known: dict[str, str] = field(default_factory=dict)
    """speaker → the name that its voice gives it."""
    asr_warnings: list[str] = field(default_factory=list)
    chunk_seconds: float = 1.0
    """asr decodes stretches of this length, and tells the words of each as soon as it has them."""
    decoded: list[float] = field(default_factory=list)
    """Where each stretch that asr has begun to decode begins."""
    cut_at: list[float] = field(default_factory=list)
    """asr's connection breaks, once, when it begins to decode the stretch that begins there."""
    slow: dict[int, threading.Event] = field(default_factory=dict)
    """size of a recording → an event that asr waits for before it answers for it."""
    closed: list[str] = field(default_factory=list)
    """Services whose answer was no longer wanted."""
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    """name → (status, code): what that service answers instead of working."""
    gates: dict[str, threading.Event] = field(default_factory=dict)
    """name → an event that its answer waits for."""
    calls: list[str] = field(default_factory=list)
    bodies: dict[str, Any] = field(default_factory=dict)
    forms: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """The fields sent along with the recording, call by call."""
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
            gate.wait(60)

    def heard(self, start: float, end: float = math.inf) -> list[dict[str, Any]]:
        """The words that begin in [start, end)."""
        return [{"word": w, "start": s, "end": e, "confidence": 0.9} for w, s, e in self.words if start <= s < end]

    def transcribed(self) -> Iterator[bytes]:
        """asr's events: words as they are found, from the second that was asked."""
        start, gate = float(request.form.get("start", 0)), self.slow.get(len(self.bodies["asr"]))

        def events() -> Iterator[bytes]:
            yield event("progress", {"progress": 0.5, "seconds_done": 1.05, "seconds_total": 2.1, "rate": 4})
            at = start // self.chunk_seconds * self.chunk_seconds  # the stretch in which `start` lies
            while at < 2.1:
                self.decoded.append(at)
                yield from self.waiting(f"asr at {at:g}")
                if at in self.cut_at:
                    self.cut_at.remove(at)
                    raise ConnectionResetError("cut by the test")
                until = min(at + self.chunk_seconds, 2.1)
                yield event("partial", {"words": self.heard(max(at, start), until), "through": until})
                at += self.chunk_seconds
            if gate is not None:
                gate.wait(60)
            yield from self.waiting("asr")
            yield event("result", self.transcription(start))

        return events()

    def waiting(self, name: str) -> Iterator[bytes]:
        """Pings while the gate of that name is shut, so that a caller who leaves is noticed."""
        gate = self.gates.get(name)
        try:
            while gate is not None and not gate.wait(0.05):
                yield b": ping\n\n"
        except GeneratorExit:
            self.closed.append(name)
            raise

    def transcription(self, start: float = 0.0) -> dict[str, Any]:
        words = self.heard(start)
        text = " ".join(word["word"] for word in words)
        segments = [{"start": 0.0, "end": 2.1, "text": text}] if words else []
        head = {"text": text, "language": "en", "duration": 2.1, "segments": segments, "words": words}
        return head | {"engine": "fake", "model": "fake-asr", "warnings": self.asr_warnings}

    def diarization(self) -> dict[str, Any]:
        def turns(given: list[tuple[str, float, float]]) -> list[dict[str, Any]]:
            return [{"speaker": who, "start": s, "end": e} for who, s, e in given]

        speakers = [
            {"id": who, "seconds": 1.0, "share": 0.5, "turns": 1}
            | ({"name": self.known[who], "similarity": 0.93} if who in self.known else {})
            for who in dict.fromkeys(who for who, _s, _e in self.turns)
        ]
        return {
            "segments": turns(self.turns), "exclusive": turns(self.exclusive or self.turns), "speakers": speakers,
            "duration": 2.1, "engine": "fake", "model": "fake-diarize", "warnings": [],
        }  # fmt: skip

    def app(self) -> Flask:
        app = Flask("fake")

        def progressive(name: str, events: Callable[[], Iterator[bytes]]) -> Response:
            self.bodies[name] = request.files["file"].read()
            self.forms.setdefault(name, []).append(request.form.to_dict())
            return self.enter(name) or Response(events(), content_type="text/event-stream")

        @app.post("/api/audio/transcribe")
        def asr() -> Response:
            return progressive("asr", self.transcribed)

        @app.post("/api/diarization/process")
        def diarize() -> Response:
            def events() -> Iterator[bytes]:
                yield event("progress", {"progress": 0.5, "seconds_done": 1.05, "seconds_total": 2.1})
                yield from self.waiting("diarize")
                yield event("result", self.diarization())

            return progressive("diarize", events)

        @app.post("/api/diarization/voices")
        def voices() -> Any:
            self.bodies["voices"] = request.files["file"].read()
            self.forms.setdefault("voices", []).append(request.form.to_dict())
            if refused := self.enter("voices"):
                return refused
            voice = {"id": "v1", "name": request.form["name"], "seconds": 4.0, "model": "fake-diarize"}
            return voice | {"created": "2026-01-01T00:00:00+00:00"}, 201

        @app.post("/api/minutes")
        def minutes() -> Response:
            self.bodies["minutes"] = request.json
            if refused := self.enter("minutes"):
                return refused
            self.wait("minutes")
            first, last = request.json["segments"][0], request.json["segments"][-1]
            who, source = first["speaker"], {"segment": 0, "start": 0, "end": 5, "score": 1.0}
            actions = [{"who": who, "what": "say hello", "when": "", "seconds": first["start"], "source": source}]
            decisions = [{"text": "hi Anna", "seconds": last["words"][0]["start"], "source": None}]
            body = {"summary": f"{who} says hello.", "decisions": decisions, "actions": actions, "open_points": []}
            body |= {"markdown": f"**{who}**", "model": "fake-chat", "warnings": []}
            shares = [{"progress": 0.25, "characters_done": 5, "characters_total": 20}]
            events = [event("progress", share) for share in shares] + [event("result", body)]
            return Response(events, content_type="text/event-stream")

        @app.post("/api/diagrams")
        def diagrams() -> Response:
            self.bodies["diagram"] = request.json
            if refused := self.enter("diagram"):
                return refused
            self.wait("diagram")
            at = max(0, request.json["text"].lower().find("hi anna"))
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

        @app.route("/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
        def anything(path: str) -> Any:
            headers = {name.lower(): value for name, value in request.headers}
            query = request.query_string.decode()
            self.seen.append({"path": path, "headers": headers, "method": request.method, "query": query})
            if path.endswith("/slow") or query == "slow":
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


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait for `condition` to be true and return its value; fails after `seconds`."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError("the condition did not come true in time")
