"""POST /api/minutes: JSON, or server-sent events that tell how far the reading is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, jsonify
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from chat.access import Access
from chat.language import Language
from chat.minutes.shape import Minutes
from chat.minutes.transcript import Segment, Transcript, of_segments, of_text
from chat.minutes.write import Advance, MinutesWriter, Written
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.connections import Cancellation
from common.web.leaving import stop_if_client_leaves
from common.web.sse import sse, wants_events

MAX_CHARS = 2_000_000


class MinutesBody(BaseModel):
    """A transcript, as text (one turn a line, "Name: sentence") or as segments."""

    model_config = ConfigDict(extra="forbid")

    transcript: str | None = Field(
        default=None,
        max_length=MAX_CHARS,
        description="Un tour de parole par ligne ; l'heure en tête de ligne ([02:03]) et les sous-titres sont compris",
    )
    segments: list[Segment] | None = Field(
        default=None, max_length=50_000, description="Les tours de parole et leurs secondes ; leurs mots, si on les a"
    )
    language: Language | None = Field(default=None, description="fr ou en ; absent : celle de la transcription")
    model: str | None = Field(default=None, max_length=500)
    stream: bool = Field(default=False, description="Des événements : progress, puis result ou error")


class MinutesAnswer(Minutes):
    """The minutes, as JSON and as Markdown."""

    markdown: str
    model: str
    parts: int = Field(description="En combien de parties la transcription a été lue")
    warnings: list[str]


def minutes_blueprint(access: Access, writer: MinutesWriter) -> APIBlueprint:
    """The endpoint over `writer`."""
    bp = APIBlueprint("minutes", __name__, url_prefix="/api/minutes", abp_tags=[Tag(name="Comptes rendus")])
    bp.before_request(access.service_or_key)

    @bp.post(
        "",
        summary="Résumé, décisions, actions et points ouverts d'une transcription, chacun avec son moment",
        responses={200: MinutesAnswer},
    )
    def write(body: MinutesBody) -> Response:
        stop_if_client_leaves()
        language = context.language.get()
        steps = writer.write(_transcript(body), language=body.language, model=body.model)
        if not wants_events(asked=body.stream):
            (*_advances, last) = steps
            return jsonify(_event(last, language)[1])
        cancellation = Cancellation()

        def events() -> Iterator[tuple[str, dict[str, Any]]]:
            with cancellation.covers():
                for step in steps:
                    yield _event(step, language)

        return sse(events(), on_close=cancellation.cancel)

    return bp


def _transcript(body: MinutesBody) -> Transcript:
    if body.transcript is not None and body.segments is not None:
        message = _("Donnez la transcription une seule fois : « transcript » ou « segments ».")
        raise ApiError(400, "too_many_sources", message, "segments")
    if body.transcript is not None:
        return of_text(body.transcript)
    if sum(len(segment.text) for segment in body.segments or ()) > MAX_CHARS:
        message = _("Ces segments dépassent %(most)s caractères.", most=MAX_CHARS)
        raise ApiError(400, "invalid_value", message, "segments")
    return of_segments(body.segments or [])


def _event(step: Advance | Written, language: str) -> tuple[str, dict[str, Any]]:
    if isinstance(step, Advance):
        return "progress", {"progress": step.share, "characters_done": step.read, "characters_total": step.total}
    answer = MinutesAnswer(
        **dict(step.minutes),
        markdown=step.markdown,
        model=step.model,
        parts=step.parts,
        warnings=[warning.render(language) for warning in step.warnings],
    )
    return "result", answer.model_dump()
