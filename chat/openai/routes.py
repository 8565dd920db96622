"""/v1: OpenAI's API. Text goes to gpt and audio to asr, untouched: they validate, answer and refuse by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from flask import Response, request
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from chat.access import key_required
from chat.llm import model_address
from chat.openai.relay import relay
from chat.settings import ChatSettings
from common.web.client import Peer
from common.web.leaving import CallerWatch, stop_if_client_leaves
from common.web.multipart import BLOCK_BYTES
from common.web.validation import invalid_json

_AUDIO = (
    "Envoi multipart/form-data, champs d'OpenAI ; les noms de modèles d'OpenAI (whisper-1, gpt-4o-transcribe…) veulent "
    "dire « celui qui est prêt ». asr en donne le détail dans sa propre documentation (/docs)."
)


class ModelPath(BaseModel):
    """A model's id or alias."""

    model: str = Field(description="Identifiant ou alias du modèle")


def openai_blueprint(settings: ChatSettings, gpt: Peer, asr: Peer) -> APIBlueprint:
    """The gateway's routes over the two peers."""
    bp = APIBlueprint("openai", __name__, url_prefix="/v1", abp_tags=[Tag(name="OpenAI")])
    bp.before_request(key_required(settings))

    @bp.post("/chat/completions", summary="Répondre à une conversation (SSE avec stream)")
    def chat_completions() -> Response:
        return _generate(gpt, "/v1/chat/completions")

    @bp.post("/completions", summary="Continuer un texte (SSE avec stream)")
    def completions() -> Response:
        return _generate(gpt, "/v1/completions")

    @bp.get("/models", summary="Les modèles de langue présents")
    def models() -> Response:
        return relay(gpt.stream("GET", "/v1/models"))

    @bp.get("/models/<path:model>", summary="Un modèle")
    def model(path: ModelPath) -> Response:
        return relay(gpt.stream("GET", model_address(path.model)))

    @bp.post("/audio/transcriptions", summary="Transcrire un enregistrement", description=_AUDIO)
    def transcriptions() -> Response:
        return _upload(asr, "/v1/audio/transcriptions")

    @bp.post("/audio/translations", summary="Traduire un enregistrement en anglais", description=_AUDIO)
    def translations() -> Response:
        return _upload(asr, "/v1/audio/translations")

    return bp


def _generate(gpt: Peer, path: str) -> Response:
    """The body is not decoded here: gpt checks it and says what is wrong."""
    if not request.is_json:
        raise invalid_json()
    body = request.get_data(cache=False)
    stop_if_client_leaves()
    return relay(gpt.stream("POST", path, body=body, headers={"Content-Type": "application/json"}))


def _upload(asr: Peer, path: str) -> Response:
    """The upload goes through as it is read, so that no file is held in memory here.

    Once it is read, a caller who leaves ends the call, and with it asr's work.
    """
    headers = {"Content-Type": request.headers.get("Content-Type", "application/octet-stream")}
    if request.content_length is not None:
        headers["Content-Length"] = str(request.content_length)
    watch = CallerWatch(request.environ)
    try:
        response = relay(asr.stream("POST", path, body=_blocks(request.stream, watch), headers=headers))
    except BaseException:
        watch.stop()
        raise
    response.call_on_close(watch.stop)
    return response


def _blocks(stream: IO[bytes], watch: CallerWatch) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block
    watch.start()
