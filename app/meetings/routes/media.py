"""/api/meetings/{id}/audio, /events and /export.{ext}."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from flask import Response, send_file
from flask_openapi import APIBlueprint
from pydantic import Field

from app.meetings import export, uploads
from app.meetings.models import FINAL
from app.meetings.routes.common import TAG, Desk, MeetingPath
from app.meetings.store import MeetingStore
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.sse import sse

WATCH_SECONDS = 0.3

_TYPES = {
    "md": "text/markdown",
    "txt": "text/plain",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "json": "application/json",
    "rttm": "text/plain",
    "mmd": "text/plain",
}


class ExportPath(MeetingPath):
    ext: str = Field(description="md, txt, srt, vtt, json, rttm ou mmd", max_length=8)


def media(desk: Desk) -> APIBlueprint:
    routes = APIBlueprint("meeting_media", __name__, url_prefix="/api/meetings", abp_tags=[TAG])

    @routes.get("/<meeting_id>/audio", summary="Écouter l'enregistrement (intervalles acceptés)")
    def audio(path: MeetingPath) -> Response:
        file, name = desk.store.recording(path.meeting_id)
        if not file.is_file():
            raise ApiError(410, "recording_missing", _("L'enregistrement n'est plus sur le disque."))
        kind = uploads.media_type(file.name)
        response = send_file(file, mimetype=kind, conditional=True, max_age=0, download_name=name)
        response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return response

    @routes.get("/<meeting_id>/events", summary="Suivre une réunion (SSE, événement « meeting »)")
    def events(path: MeetingPath) -> Response:
        language = context.language.get()
        desk.store.get(path.meeting_id, language)
        return sse(watch(desk.store, path.meeting_id, language))

    @routes.get("/<meeting_id>/export.<ext>", summary="Télécharger la réunion")
    def exported(path: ExportPath) -> Response:
        language = context.language.get()
        meeting = desk.store.get(path.meeting_id, language)
        if path.ext == "svg":
            message = _("L'image SVG est dessinée par la page de la réunion : téléchargez-la de là, ou prenez « mmd ».")
            raise ApiError(501, "svg_in_browser", message, "ext")
        if path.ext not in _TYPES:
            known = ", ".join(_TYPES)
            raise ApiError(
                404, "unknown_export", _("Format inconnu ; formats proposés : %(known)s.", known=known), "ext"
            )
        writers: dict[str, Callable[[], str]] = {
            "md": lambda: export.markdown(meeting, language),
            "txt": lambda: export.text(meeting),
            "srt": lambda: export.srt(meeting),
            "vtt": lambda: export.vtt(meeting),
            "json": lambda: export.as_json(meeting),
            "rttm": lambda: export.turns(meeting, desk.store.turns(path.meeting_id)),
            "mmd": lambda: export.mermaid(meeting),
        }
        response = Response(writers[path.ext](), content_type=f"{_TYPES[path.ext]}; charset=utf-8")
        response.headers["Content-Disposition"] = attachment(meeting["title"], path.ext)
        return response

    return routes


def watch(store: MeetingStore, meeting_id: str, language: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The meeting each time it changes, whatever process changes it, until it is over or deleted."""
    seen = 0
    while True:
        found = store.version(meeting_id)
        if found is None:
            yield "deleted", {"id": meeting_id}
            return
        version, state = found
        if version != seen:
            seen = version
            try:
                yield "meeting", store.get(meeting_id, language)
            except ApiError:
                continue  # deleted in between
            if state in FINAL:
                return
        time.sleep(WATCH_SECONDS)


def attachment(title: str, ext: str) -> str:
    """Content-Disposition of a download named after the meeting, in ASCII and in full (RFC 6266)."""
    words = re.sub(r'[\\/:*?"<>|\x00-\x1f]+', " ", title).split()
    name = " ".join(words).strip(" .")[:100] or "reunion"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "reunion"
    return f"attachment; filename=\"{plain}.{ext}\"; filename*=UTF-8''{quote(f'{name}.{ext}')}"
