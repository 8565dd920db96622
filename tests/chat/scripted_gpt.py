"""gpt that calls tools: each answer is a script of texts and calls, streamed piece by piece or in one piece."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, jsonify, request

MODEL = {"id": "tiny", "object": "model", "aliases": [], "embedded": False, "context": 4096, "state": "ready"}


def call(name: str, *, id: str | None = None, **arguments: Any) -> dict[str, Any]:  # noqa: A002  OpenAI's name
    """A call of a tool, with these arguments."""
    written = json.dumps(arguments, ensure_ascii=False)
    return {"id": id or f"call_{name}", "type": "function", "function": {"name": name, "arguments": written}}


class ScriptedGpt:
    """`app` is the WSGI application. An answer is (status, error), or a list of texts, calls and ("thought", text)."""

    def __init__(self) -> None:
        self.models = [MODEL]
        self.requests: list[dict[str, Any]] = []
        self._answers: list[Any] = []
        self.permits: threading.Semaphore | None = None  # when set, each chunk takes one
        self.stream_closed = threading.Event()
        self.app = self._make()

    def enqueue(self, *answers: Any) -> None:
        self._answers.extend(answers)

    def results(self, round_number: int) -> list[str]:
        """What the tools had said when the model was asked for the n-th time (from 0)."""
        return [one["content"] for one in self.requests[round_number]["messages"] if one["role"] == "tool"]

    def _make(self) -> Flask:
        app = Flask("scripted_gpt")

        @app.get("/v1/models")
        def models() -> Any:
            return jsonify(object="list", data=self.models)

        @app.get("/v1/models/<path:name>")
        def model(name: str) -> Any:
            if found := next((one for one in self.models if one["id"] == name), None):
                return jsonify(found)
            error = {"message": name, "type": "invalid_request_error", "code": "model_not_found"}
            return jsonify(error=error), 404

        @app.post("/v1/chat/completions")
        def complete() -> Any:
            body = request.get_json()
            self.requests.append(body)
            answer = self._answers.pop(0) if self._answers else ["Fin."]
            if isinstance(answer, tuple):
                return jsonify(answer[1]), answer[0]
            if body.get("stream"):
                return Response(self._chunks(body, answer), content_type="text/event-stream; charset=utf-8")
            return jsonify(_whole(len(self.requests), answer))

        return app

    def _chunks(self, body: dict[str, Any], answer: list[Any]) -> Iterator[bytes]:
        number = len(self.requests)
        envelope = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": number, "model": "tiny"}
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        index = -1
        for piece in answer:
            if isinstance(piece, tuple):
                deltas.append({"reasoning_content": piece[1]})
                continue
            if isinstance(piece, str):
                deltas += [{"content": piece[:2]}, {"content": piece[2:]}] if len(piece) > 2 else [{"content": piece}]
                continue
            index += 1
            written = piece["function"]["arguments"]
            begun = {**piece, "index": index, "function": {"name": piece["function"]["name"], "arguments": ""}}
            deltas.append({"tool_calls": [begun]})
            for part in (written[:5], written[5:]):
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
        try:
            for delta in deltas:
                if self.permits is not None:
                    self.permits.acquire(timeout=60)
                yield _event({**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            finish = "stop" if index < 0 else "tool_calls"
            yield _event({**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
            if (body.get("stream_options") or {}).get("include_usage"):
                yield _event({**envelope, "choices": [], "usage": _usage(number)})
            yield b"data: [DONE]\n\n"
        finally:
            self.stream_closed.set()


def _whole(number: int, answer: list[Any]) -> dict[str, Any]:
    calls = [piece for piece in answer if isinstance(piece, dict)]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(p for p in answer if isinstance(p, str)) or None}
    if calls:
        message["tool_calls"] = calls
    if thoughts := [piece[1] for piece in answer if isinstance(piece, tuple)]:
        message["reasoning_content"] = "".join(thoughts)
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    envelope = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": number, "model": "tiny"}
    return {**envelope, "choices": [choice], "usage": _usage(number)}


def _usage(number: int) -> dict[str, Any]:
    used = {"prompt_tokens": 10 * number, "completion_tokens": number, "total_tokens": 11 * number}
    return {**used, "prompt_tokens_details": {"cached_tokens": 1}}


def _event(told: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(told, ensure_ascii=False)}\n\n".encode()
