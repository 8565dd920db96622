"""/v1: OpenAI's API. Text goes to gpt and audio to asr, untouched: they validate, answer and refuse by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from flask import Response, jsonify, request
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from chat.access import Access
from chat.keys.account import Account, current
from chat.llm import LanguageModel, model_address
from chat.openai.aliases import Chooser, ModelAliases
from chat.openai.asked import form_parts
from chat.openai.audio_models import AudioModels
from chat.openai.completions import EMBEDDINGS, TEXT, Completions
from chat.openai.listing import Listing
from chat.openai.relay import relay
from chat.openai.stored.keeping import Keeper
from common.errors import ApiError
from common.messages import _
from common.web.client import Peer
from common.web.leaving import CallerWatch, stop_if_client_leaves
from common.web.multipart import BLOCK_BYTES
from common.web.validation import invalid_json

_AUDIO = (
    "Envoi multipart/form-data, champs d'OpenAI ; les noms de modèles d'OpenAI (whisper-1, gpt-4o-transcribe…) veulent "
    "dire « celui qui est prêt ». asr en donne le détail dans sa propre documentation (/docs)."
)

FORM_BYTES = 4 * 1024 * 1024  # of one text field: asr takes samples of voices in them


class ModelPath(BaseModel):
    """A model's id or alias."""

    model: str = Field(description="Identifiant ou alias du modèle")


def openai_blueprint(
    access: Access,
    aliases: ModelAliases,
    llm: LanguageModel,
    text: Completions,
    keeper: Keeper,
    gpt: Peer,
    asr: Peer,
) -> APIBlueprint:
    """The gateway's routes over the two peers; `llm` knows gpt's models by all their names."""
    audio = AudioModels(asr)
    text_model = Chooser(aliases, llm.names, llm.knows)
    audio_model = Chooser(aliases, audio.names, audio.known)
    listing = Listing(llm, aliases)
    bp = APIBlueprint("openai", __name__, url_prefix="/v1", abp_tags=[Tag(name="OpenAI")])
    bp.before_request(access.key_required)

    @bp.post("/chat/completions", summary="Répondre à une conversation (SSE avec stream)")
    def chat_completions() -> Response:
        data = _json()
        keeping = keeper.asked(data)
        answer = text.respond(data)
        return answer if keeping is None else keeping.of(answer)

    @bp.post("/completions", summary="Continuer un texte (SSE avec stream)")
    def completions() -> Response:
        return text.respond(_json(), TEXT)

    @bp.post("/embeddings", summary="Vecteurs de textes")
    def embeddings() -> Response:
        return text.respond(_json(), EMBEDDINGS)

    @bp.get("/models", summary="Les modèles de langue présents")
    def models() -> Response:
        if not text_model.reads(account := current.get()):
            return relay(gpt.stream("GET", "/v1/models"))
        return jsonify(object="list", data=listing.all(account))

    @bp.get("/models/<path:model>", summary="Un modèle")
    def model(path: ModelPath) -> Response:
        if not text_model.reads(account := current.get()):
            return relay(gpt.stream("GET", model_address(path.model)))
        return jsonify(listing.one(path.model, account))

    @bp.delete("/models/<path:model>", summary="Refusé : les modèles se gèrent dans la Supervision")
    def remove_model(path: ModelPath) -> Response:
        if aliases.names_it(path.model) or llm.knows(path.model):
            raise ApiError(
                403, "permission_denied", _("Un modèle ne se supprime pas par l'API : voyez la Supervision.")
            )
        raise ApiError(404, "model_not_found", _("Modèle inconnu : « %(model)s ».", model=path.model), "model")

    @bp.post("/audio/speech", summary="Refusé : aucun modèle ne lit à voix haute")
    def speech() -> Response:
        raise ApiError(404, "model_not_found", _("Aucun modèle de Frigo ne lit un texte à voix haute."), "model")

    @bp.post("/audio/transcriptions", summary="Transcrire un enregistrement", description=_AUDIO)
    def transcriptions() -> Response:
        return _upload(asr, "/v1/audio/transcriptions", audio_model)

    @bp.post("/audio/translations", summary="Traduire un enregistrement en anglais", description=_AUDIO)
    def translations() -> Response:
        return _upload(asr, "/v1/audio/translations", audio_model)

    return bp


def _json() -> bytes:
    """The body, unread."""
    if not request.is_json:
        raise invalid_json()
    return request.get_data(cache=False)


def _upload(asr: Peer, path: str, chooser: Chooser) -> Response:
    """The upload goes through as it is read, so that no file is held in memory here.

    Once it is read, a caller who leaves ends the call, and with it asr's work.
    """
    account = current.get()
    if chooser.reads(account):
        return _read_upload(asr, path, account, chooser)
    headers = {"Content-Type": request.headers.get("Content-Type", "application/octet-stream")}
    if request.content_length is not None:
        headers["Content-Length"] = str(request.content_length)
    watch = CallerWatch(request.environ)
    try:
        response = relay(asr.stream("POST", path, body=_blocks(request.stream, watch), headers=headers), account)
    except BaseException:
        watch.stop()
        raise
    response.call_on_close(watch.stop)
    return response


def _read_upload(asr: Peer, path: str, account: Account | None, chooser: Chooser) -> Response:
    """As `_upload`, for a form whose model must be seen first: large files wait on disk meanwhile."""
    request.max_form_memory_size = FORM_BYTES
    fields = form_parts(request.form, request.files, account, chooser)
    stop_if_client_leaves()
    return relay(asr.stream("POST", path, fields=fields), account)


def _blocks(stream: IO[bytes], watch: CallerWatch) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block
    watch.start()
