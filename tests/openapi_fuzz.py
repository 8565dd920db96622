"""Requests drawn from a service's own OpenAPI document: none is a 500, and every refusal has the shape that is told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from typing import Any

import schemathesis
from flask import Flask, Response, jsonify, request
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

CHECKS = [response_schema_conformance, content_type_conformance]
ABSENT = {"peer_unavailable", "model_not_ready", "peer_broken"}  # of another service, not of the request


class Fuzz:
    """`examples` requests that are right and as many that are wrong, for each operation; the same ones every time."""

    def __init__(self, app: Any, *, headers: dict[str, str] | None = None, without: Collection[str] = ()) -> None:
        self._schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
        self._headers = headers or {}
        self._without = set(without)
        self.statuses: Counter[int] = Counter()
        self.operations: list[str] = []

    def run(self, examples: int) -> None:
        """Raises `AssertionError` with the request that a check refuses."""
        for result in self._schema.get_all_operations():
            operation = result.ok()
            name = f"{operation.method.upper()} {operation.path}"
            if name in self._without:
                continue
            self.operations.append(name)
            self._try(operation, GenerationMode.POSITIVE, examples)
            if operation.definition.raw.get("requestBody"):  # the rest has nothing that can be wrong, or little
                self._try(operation, GenerationMode.NEGATIVE, examples)

    def _try(self, operation: Any, mode: GenerationMode, examples: int) -> None:
        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def judged(case: Any) -> None:
            response = case.call(headers=self._headers)
            self.statuses[response.status_code] += 1
            assert response.headers["x-request-id"]
            if response.status_code >= 400 and case.path != "/ready":
                error = json.loads(response.content)["error"]
                assert set(error) >= {"message", "type", "param", "code"}, error
                assert response.status_code < 500 or error["code"] in ABSENT, error
            case.validate_response(response, checks=CHECKS)

        judged()


def patient_services() -> Flask:
    """The services behind, that answer anything."""
    app = Flask("patient")
    known = {"id": "frigo-mini", "object": "model", "created": 0, "owned_by": "frigo", "aliases": [], "state": "ready"}
    choice = {"index": 0, "message": {"role": "assistant", "content": "{}"}, "finish_reason": "stop", "text": "x"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}

    @app.get("/v1/models")
    def models() -> Any:
        return jsonify(object="list", data=[known])

    @app.post("/v1/<path:path>")
    def complete(path: str) -> Any:
        body = request.get_json(silent=True)
        if path == "embeddings":
            return jsonify(object="list", data=[{"object": "embedding", "index": 0, "embedding": [0.0]}], usage=usage)
        if path.startswith("audio"):
            return jsonify(text="Bonjour.")
        if isinstance(body, dict) and body.get("stream") is True:
            return Response('data: {"choices": []}\n\ndata: [DONE]\n\n', content_type="text/event-stream")
        head = {"id": "c", "object": "chat.completion", "created": 1, "model": "frigo-mini"}
        return jsonify(head | {"choices": [choice], "usage": usage})

    @app.errorhandler(404)
    @app.errorhandler(405)
    def unknown(_error: Exception) -> Any:
        error = {"message": "inconnu", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
        return jsonify(error=error), 404

    return app
