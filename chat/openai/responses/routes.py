"""/v1/responses without memory: what it asks is asked as a chat completion, and told as a response."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Response, jsonify
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from chat.access import Access
from chat.openai.events import DONE, Events, as_object
from chat.openai.relay import EVENT_STREAM
from chat.openai.responses.body import ResponseBody
from chat.openai.responses.refused import in_its_words
from chat.openai.responses.writing import Event, Writing
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.sse import encode


class ResponsePath(BaseModel):
    response_id: str = Field(description="Identifiant de la réponse")


def responses_blueprint(access: Access, respond: Callable[[bytes], Response]) -> APIBlueprint:
    """`respond` answers a body of /v1/chat/completions for the caller."""
    bp = APIBlueprint("responses", __name__, url_prefix="/v1/responses", abp_tags=[Tag(name="OpenAI")])
    bp.before_request(access.key_required)

    @bp.post("", summary="Répondre, sans rien garder (SSE avec stream)")
    def create(body: ResponseBody) -> Response:
        answer = respond(json.dumps(body.chat()).encode())
        return told(answer, Writing(body.echo(), body.model or "default"))

    @bp.get("/<response_id>", summary="Rien n'est gardé : OpenAI y dit 404")
    def retrieve(path: ResponsePath) -> Response:
        raise _unknown(path.response_id)

    @bp.delete("/<response_id>", summary="Rien n'est gardé : OpenAI y dit 404")
    def remove(path: ResponsePath) -> Response:
        raise _unknown(path.response_id)

    @bp.post("/<response_id>/cancel", summary="Rien n'est gardé : OpenAI y dit 404")
    def cancel(path: ResponsePath) -> Response:
        raise _unknown(path.response_id)

    @bp.get("/<response_id>/input_items", summary="Rien n'est gardé : OpenAI y dit 404")
    def input_items(path: ResponsePath) -> Response:
        raise _unknown(path.response_id)

    return bp


def told(answer: Response, writing: Writing) -> Response:
    """A chat completion's answer, whole or streamed, or its error, as a response's."""
    if (answer.content_type or "").startswith(EVENT_STREAM) and answer.status_code < 400:
        answer.response = _events(answer.iter_encoded(), writing)
        return answer
    said = as_object(answer.get_data())
    if said is not None:
        answer.set_data(jsonify(in_its_words(said) if answer.status_code >= 400 else _whole(said, writing)).get_data())
    return answer


def _whole(completion: dict[str, Any], writing: Writing) -> dict[str, Any]:
    """An answer in one piece is a stream of one chunk."""
    choices = []
    for choice in completion.get("choices") or ():
        calls = [{**call, "index": at} for at, call in enumerate(choice["message"].get("tool_calls") or ())]
        choices.append({**choice, "delta": {**choice["message"], "tool_calls": calls}})
    for _event in (*writing.add({**completion, "choices": choices}), *writing.end()):
        pass
    return writing.response()


def _events(chunks: Iterable[bytes], writing: Writing) -> Iterator[bytes]:
    """Told as they come; what is no event (a ping) goes by."""
    events = Events()
    broken: dict[str, Any] = {}
    try:
        yield from _encoded(writing.begin())
        for chunk in chunks:
            if chunk.startswith(b":"):
                yield b": ping\n\n"
            for data in events.feed(chunk):
                if data == DONE or (said := as_object(data)) is None:
                    continue
                if isinstance(error := said.get("error"), dict):
                    broken = error
                yield from _encoded(writing.add(said))
        if broken or not writing.ended:
            interrupted = _("La réponse s'est interrompue.").render(context.language.get())
            yield from _encoded(writing.fail(str(broken.get("message") or interrupted)))
        else:
            yield from _encoded(writing.end())
    finally:
        if (close := getattr(chunks, "close", None)) is not None:
            close()


def _encoded(events: Iterable[Event]) -> Iterator[bytes]:
    for event in events:
        yield encode((event["type"], event))


def _unknown(response_id: str) -> ApiError:
    message = _("Réponse inconnue : « %(id)s » (/v1/responses ne garde rien).", id=response_id)
    return ApiError(404, "not_found", message, "response_id")
