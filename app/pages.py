"""The web pages: Vite's build in app/web/dist, every address of the application being its index.html."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NoReturn

from flask import Blueprint, Response, abort, current_app, request, send_from_directory
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from common.messages import _
from common.web import context

DIST = Path(__file__).resolve().parent / "web" / "dist"
_FOREVER = "public, max-age=31536000, immutable"
_SERVER_ONLY = ("api/", "v1/", "docs/")
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

_NOT_BUILT = """<!doctype html>
<html lang="{lang}"><meta charset="utf-8"><title>Frigo</title>
<style>
body {{ font: 18px/1.6 system-ui; max-width: 40em; margin: 15vh auto; padding: 0 1em }}
</style>
<h1>Frigo</h1>
<p>{text}</p>
<pre><code>make run</code></pre>
<p>(<code>cd app/web &amp;&amp; npm ci &amp;&amp; npm run build</code>)</p>
</html>"""


def pages(dist: Path = DIST) -> Blueprint:
    routes = Blueprint("pages", __name__)

    @routes.get("/")
    def home() -> Response:
        return _index(dist)

    @routes.route("/<path:path>", methods=_METHODS)
    def anything(path: str) -> Response:
        if request.method not in ("GET", "HEAD") or f"{path}/".startswith(_SERVER_ONLY):
            _no_such_route()
        if not path.endswith("/") and (dist / path).is_file():
            return send_from_directory(dist, path, max_age=0)  # refuses what leads out of dist
        if "text/html" not in request.accept_mimetypes.values():
            abort(404)
        return _index(dist)

    @routes.get("/assets/<path:path>")
    def asset(path: str) -> Response:
        response = send_from_directory(dist / "assets", path)
        response.headers["Cache-Control"] = _FOREVER  # the name holds a hash of the content
        return response

    return routes


def _no_such_route() -> NoReturn:
    """405 when the address exists for other methods, else 404 (the catch-all above matches everything)."""
    adapter = current_app.create_url_adapter(request)
    allowed = []
    for method in _METHODS:
        with contextlib.suppress(HTTPException):
            if adapter is not None and adapter.match(method=method)[0] != request.endpoint:
                allowed.append(method)
    if allowed:
        raise MethodNotAllowed(valid_methods=allowed)
    abort(404)


def _index(dist: Path) -> Response:
    if not (dist / "index.html").is_file():
        language = context.language.get()
        text = _("La page n'est pas encore construite. Lancez Frigo par :").render(language)
        return Response(
            _NOT_BUILT.format(lang=language, text=text), status=503, content_type="text/html; charset=utf-8"
        )
    response = send_from_directory(dist, "index.html", max_age=0)
    response.headers["Cache-Control"] = "no-cache"
    return response
