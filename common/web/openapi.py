"""The OpenAPI document of a service: what the framework derives from the routes, made true and whole.

Every operation tells the shape of its errors; bodies and answers that a route reads or passes on by itself are told
apart, with `tell`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_openapi import APIBlueprint, OpenAPI

VERSION = "3.1.0"  # what tools read today
Schema = dict[str, Any]
EVENT: Schema = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string", "description": "Du JSON, ou [DONE]"}},
    "required": ["data"],
}
_METHODS = {"get", "post", "put", "patch", "delete"}
_ERROR = {
    "description": "Une erreur : `code` est stable, `message` est dans la langue demandée",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
}
_DONE = {"description": "Fait"}


class DocumentedApp(OpenAPI):
    """A Flask application whose document is complete."""

    def tell(self, operations: Mapping[str, Schema]) -> None:
        """Operations by ``METHOD /path``: what the document lacks of them, or all of one that is passed on."""
        self._told: dict[str, Schema] = {**self.__dict__.get("_told", {}), **operations}

    def register_api(self, api: APIBlueprint, **options: Any) -> None:
        """As the framework does, but two blueprints may share an address: each keeps its methods."""
        before = {path: self.paths[path] for path in api.paths if path in self.paths}
        super().register_api(api, **options)
        for path, known in before.items():
            for method in _METHODS:
                if getattr(self.paths[path], method) is None:
                    setattr(self.paths[path], method, getattr(known, method))

    @property
    def api_doc(self) -> dict[str, Any]:
        """The whole document."""
        document: dict[str, Any] = super().api_doc
        document["openapi"] = VERSION
        paths = document.setdefault("paths", {})
        for address, operation in self.__dict__.get("_told", {}).items():
            method, path = address.split(" ", 1)
            known = paths.setdefault(path, {}).setdefault(method.lower(), {})
            known |= {**operation, "responses": known.get("responses", {}) | operation.get("responses", {})}
        for operations in paths.values():
            for method in _METHODS & set(operations):
                operations[method]["responses"] = _responses(operations[method].get("responses", {}))
        return document


def _responses(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The successes of an operation, and the one shape of all its errors."""
    successes = {status: answer for status, answer in declared.items() if str(status)[:1] in "123"}
    errors = {status: answer for status, answer in declared.items() if status not in successes and status != "400"}
    return {**(successes or {"2XX": _DONE}), "400": _ERROR, **errors, "default": _ERROR}


def json_body(schema: Schema, *, required: bool = True) -> Schema:
    """An operation with this JSON body."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def form_body(schema: Schema) -> Schema:
    """An operation with this multipart form."""
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def answers(schema: Schema, description: str, *, events: bool = False, status: str = "200") -> Schema:
    """An operation with this answer, by events too when it has them."""
    content: Schema = {"application/json": {"schema": schema}}
    if events:
        content["text/event-stream"] = {"schema": EVENT}
    return {"responses": {status: {"description": description, "content": content}}}
