"""POST /v1/chat/completions, /v1/completions and /v1/embeddings."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi import APIBlueprint, Tag

from common.web.leaving import client_gone
from common.web.sse import sse_polled
from gpt.forwarded import Forwarded
from gpt.ia_service import IaService
from gpt.routes.forwarded import forwarded_response
from gpt.wire.answers import chat_answer, chat_chunks, completion_answer, completion_chunks
from gpt.wire.embeddings import EmbeddingBody
from gpt.wire.requests import ChatBody, CompletionBody, Sampling


def completions_blueprint(service: IaService) -> APIBlueprint:
    """The endpoints of models over `service`."""
    bp = APIBlueprint("completions", __name__, url_prefix="/v1", abp_tags=[Tag(name="OpenAI")])

    @bp.post("/chat/completions", summary="Répondre à une conversation (SSE avec stream)")
    def chat(body: ChatBody) -> Response | dict[str, Any]:
        gone = client_gone(request.environ)
        job = service.chat(body, gone, request.get_json())
        if isinstance(job, Forwarded):
            return forwarded_response(job, gone)
        if not body.stream:
            return chat_answer(job, gone)
        return sse_polled(chat_chunks(job, gone, include_usage=_usage(body)), done=True, on_close=job.close)

    @bp.post("/completions", summary="Continuer un texte (SSE avec stream)")
    def completion(body: CompletionBody) -> Response | dict[str, Any]:
        gone = client_gone(request.environ)
        job = service.completion(body, gone, request.get_json())
        if isinstance(job, Forwarded):
            return forwarded_response(job, gone)
        if not body.stream:
            return completion_answer(job, gone)
        return sse_polled(completion_chunks(job, gone, include_usage=_usage(body)), done=True, on_close=job.close)

    @bp.post("/embeddings", summary="Les vecteurs de textes")
    def embeddings(body: EmbeddingBody) -> Response | dict[str, Any]:
        gone = client_gone(request.environ)
        answer = service.embeddings(body, gone, request.get_json())
        return forwarded_response(answer, gone) if isinstance(answer, Forwarded) else answer

    return bp


def _usage(body: Sampling) -> bool:
    return bool(body.stream_options and body.stream_options.include_usage)
