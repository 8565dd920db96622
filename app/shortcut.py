"""The short way to chat for what a program asks most: a small POST to one of `PATHS`, passed on without Flask.

Flask's own work was two thirds of what a relayed call cost here. Only what goes well goes this way: a request that
Flask's guards might refuse is theirs from the start, and an error is raised again under Flask, which words it, logs it
and counts it as any other (`install`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import ClientDisconnected

from app import gateway, security
from app.peers import Peers
from app.settings import AppSettings
from common.messages import best_language
from common.web import context, metrics
from common.web.client import PeerStream
from common.web.factory import log_request
from common.web.leaving import CallerWatch

PATHS = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"}
_ERROR = "frigo.error"
_Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def install(app: Flask, settings: AppSettings, peers: Peers) -> None:
    """Put the short way before `app`'s own."""

    @app.before_request
    def _raise_again() -> None:
        if (error := request.environ.get(_ERROR)) is not None:
            raise error

    app.wsgi_app = _Shortcut(app.wsgi_app, settings, peers)  # type: ignore[method-assign]  # Flask's own way


class _Shortcut:
    def __init__(self, flask: _Wsgi, settings: AppSettings, peers: Peers) -> None:
        self._flask = flask
        self._hosts = settings.allowed_hosts
        self._chat = peers.public_chat

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not self._takes(environ):
            return self._flask(environ, start_response)
        entered = time.perf_counter()
        request_id = context.new_request_id(environ.get("HTTP_X_REQUEST_ID"))
        context.request_id.set(request_id)
        context.language.set(best_language(environ.get("HTTP_ACCEPT_LANGUAGE")))
        watch = CallerWatch(environ)
        metrics.entered("app")
        try:
            stream = self._forward(environ, watch)
        except BaseException as error:
            watch.stop()
            metrics.left("app")
            if not isinstance(error, Exception):
                raise  # the caller left
            environ[_ERROR], environ["HTTP_X_REQUEST_ID"] = error, request_id
            return self._flask(environ, start_response)
        seconds = time.perf_counter() - entered
        metrics.answered("app", "POST", "/v1/<path:path>", stream.status, seconds)
        log_request("POST", environ["PATH_INFO"], stream.status, seconds)
        start_response(_status(stream.status), _headers(stream, request_id))
        return _Body(stream, watch)

    def _takes(self, environ: dict[str, Any]) -> bool:
        """Whether nothing in the guards of `app.security`, or in the limits of a body, could refuse the request."""
        if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] not in PATHS:
            return False
        if "HTTP_ORIGIN" in environ or "HTTP_SEC_FETCH_SITE" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            return False
        length = environ.get("CONTENT_LENGTH", "")
        if not (length.isascii() and length.isdecimal() and 0 < int(length) <= gateway.SMALL_BODY):
            return False
        return not self._hosts or security.host_name(environ.get("HTTP_HOST", "")) in self._hosts

    def _forward(self, environ: dict[str, Any], watch: CallerWatch) -> PeerStream:
        """As `gateway.forward`."""
        length = int(environ["CONTENT_LENGTH"])
        data = environ["wsgi.input"].read(length)
        if len(data) < length:
            raise ClientDisconnected
        watch.start()
        headers = {name: value for key, value in environ.items() if (name := _forwarded(key))}
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING")
        return self._chat.stream("POST", f"{path}?{query}" if query else path, body=data, headers=headers)


class _Body:
    """The answer's bytes as they come. Closing it, at the end or before, ends the call."""

    def __init__(self, stream: PeerStream, watch: CallerWatch) -> None:
        self._stream = stream
        self._watch = watch
        self._chunks = gateway.chunks(stream, watch, events=gateway.is_events(stream))

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self._chunks.close()
        self._watch.stop()
        self._stream.close()
        metrics.left("app")


def _headers(stream: PeerStream, request_id: str) -> list[tuple[str, str]]:
    """As `gateway.forward`, `app.security` and `common.web.factory` make them."""
    headers = gateway.returned_headers(stream)
    names = {name.lower() for name, _value in headers}
    headers += [pair for pair in security.HEADERS if pair[0].lower() not in names]
    headers.append(("X-Request-ID", request_id))
    return headers


@lru_cache(1024)
def _forwarded(key: str) -> str | None:
    """The header of a WSGI variable, when it is one that goes along."""
    if key == "CONTENT_TYPE":
        return "Content-Type"
    name = key.removeprefix("HTTP_").replace("_", "-").title()
    return name if key.startswith("HTTP_") and name.lower() not in gateway.NOT_FORWARDED else None


@lru_cache(64)
def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
