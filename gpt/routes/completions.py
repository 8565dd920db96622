"""POST /v1/chat/completions and /v1/completions."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi import APIBlueprint, Tag

from common.web.leaving import client_gone
from common.web.sse import sse
from gpt.ia_service import IaService
from gpt.wire.answers import chat_answer, chat_chunks, completion_answer, completion_chunks
from gpt.wire.requests import ChatBody, CompletionBody


def completions_blueprint(service: IaService) -> APIBlueprint:
    """The two generation endpoints over `service`."""
    bp = APIBlueprint("completions", __name__, url_prefix="/v1", abp_tags=[Tag(name="OpenAI")])

    @bp.post("/chat/completions", summary="Répondre à une conversation (SSE avec stream)")
    def chat(body: ChatBody) -> Response | dict[str, Any]:
        job, gone = service.chat(body), client_gone(request.environ)
        if not body.stream:
            return chat_answer(job, gone)
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return sse(chat_chunks(job, gone, include_usage=usage), done=True, on_close=job.close)

    @bp.post("/completions", summary="Continuer un texte (SSE avec stream)")
    def completion(body: CompletionBody) -> Response | dict[str, Any]:
        job, gone = service.completion(body), client_gone(request.environ)
        if not body.stream:
            return completion_answer(job, gone)
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return sse(completion_chunks(job, gone, include_usage=usage), done=True, on_close=job.close)

    return bp
