"""What a meeting asks of the other services: transcription, diarization, minutes, diagram."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from common.errors import ApiError
from common.messages import _
from common.web.client import Cancellation, Peer, PeerStream
from common.web.multipart import Part

_TEMPORARY_CODES = {"peer_unavailable", "peer_broken", "peer_error", "model_not_ready", "overloaded"}
_CHAT_LANGUAGES = {"fr", "en"}
CHAT_SECONDS = 1800.0
"""How long minutes or a diagram may take: a large model on a small machine is slow."""

Progress = Callable[[float], None]
A = TypeVar("A", bound=BaseModel)


class HeardWord(BaseModel):
    word: str
    start: float
    end: float


class HeardSegment(BaseModel):
    text: str
    start: float
    end: float


class Transcription(BaseModel):
    """asr's answer (DESIGN §2)."""

    text: str
    language: str | None = None
    duration: float
    segments: list[HeardSegment] = Field(default_factory=list)
    words: list[HeardWord] = Field(default_factory=list)
    model: str | None = None
    warnings: list[str] = Field(default_factory=list)


class SpokenTurn(BaseModel):
    speaker: str
    start: float
    end: float


class Diarization(BaseModel):
    """diarize's answer (DESIGN §2)."""

    segments: list[SpokenTurn]
    duration: float
    model: str | None = None
    warnings: list[str] = Field(default_factory=list)


class CancelledError(Exception):
    """The call was stopped from our side."""


class Call:
    """One call under way, which another thread may cancel."""

    def __init__(self) -> None:
        self._cancellation = Cancellation()
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Cut the connection, so that the service stops too."""
        self._cancelled.set()
        self._cancellation.cancel()

    def sleep(self, seconds: float) -> None:
        """Wait; raises CancelledError as soon as the call is cancelled."""
        if self._cancelled.wait(seconds):
            raise CancelledError

    @contextmanager
    def to(self, peer: Peer, path: str, **given: Any) -> Iterator[PeerStream]:
        """POST to `peer`, and read its answer, until cancelled."""
        self.sleep(0)
        with self._cancellation.covers(), peer.stream("POST", path, **given) as stream:
            yield stream


def is_temporary(error: ApiError) -> bool:
    """True when the same call may well succeed later: the service is down, starting or overloaded."""
    return error.code in _TEMPORARY_CODES or error.status in {429, 502, 503, 504}


def transcribe(peer: Peer, call: Call, recording: Path, language: str | None, progress: Progress) -> Transcription:
    """The words of the recording and their times."""
    fields = {"language": language} if language else {}
    return _checked(peer, Transcription, _upload(peer, call, "/api/audio/transcribe", recording, fields, progress))


def diarize(peer: Peer, call: Call, recording: Path, speakers: int | None, progress: Progress) -> Diarization:
    """Who speaks when."""
    fields = {"num_speakers": str(speakers)} if speakers else {}
    return _checked(peer, Diarization, _upload(peer, call, "/api/diarization/process", recording, fields, progress))


def minutes(peer: Peer, call: Call, transcript: str, language: str | None) -> dict[str, Any]:
    """chat's minutes: summary, decisions, actions, open_points, markdown."""
    return _ask(peer, call, "/api/minutes", {"transcript": transcript} | _language(language))


def diagram(peer: Peer, call: Call, text: str, language: str | None) -> dict[str, Any]:
    """chat's diagram of the text; an answer is valid, or it is an error."""
    return _ask(peer, call, "/api/diagrams", {"text": text} | _language(language))


def _language(language: str | None) -> dict[str, str]:
    return {"language": language} if language in _CHAT_LANGUAGES else {}


def _checked(peer: Peer, kind: type[A], answer: Any) -> A:
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        raise _bad_answer(peer) from error


def _bad_answer(peer: Peer) -> ApiError:
    message = _("Le service %(service)s a donné une réponse inattendue.", service=peer.name)
    return ApiError(500, "peer_bad_answer", message, extra={"service": peer.name})


def _ask(peer: Peer, call: Call, path: str, body: dict[str, Any]) -> dict[str, Any]:
    with call.to(peer, path, json=body, timeout=CHAT_SECONDS) as stream:
        answer = stream.read().raise_for_status().json()
    if not isinstance(answer, dict):
        raise _bad_answer(peer)
    return answer


def _upload(
    peer: Peer, call: Call, path: str, recording: Path, fields: dict[str, str], progress: Progress
) -> dict[str, Any]:
    """Send the recording; follow the progress events when the service gives them, else wait for its JSON."""
    with recording.open("rb") as file:
        parts: dict[str, Part] = {**fields, "file": (recording.name, file, "application/octet-stream")}
        headers = {"Accept": "text/event-stream, application/json"}
        with call.to(peer, path, fields=parts, query={"stream": "true"}, headers=headers) as stream:
            if stream.status >= 400 or "text/event-stream" not in stream.headers.get("Content-Type", ""):
                return dict(stream.read().raise_for_status().json())
            return _followed(peer, stream, progress)


def _followed(peer: Peer, stream: PeerStream, progress: Progress) -> dict[str, Any]:
    for name, data in stream.events():
        try:
            payload = json.loads(data)
            if name == "progress":
                progress(float(payload["progress"]))
            elif name == "result":
                return dict(payload)
            elif name == "error":
                raise _failure(peer, payload["error"])
        except (ValueError, KeyError, TypeError) as error:
            raise _bad_answer(peer) from error
    message = _("Le service %(service)s a coupé sa réponse.", service=peer.name)
    raise ApiError(502, "peer_broken", message, extra={"service": peer.name})


def _failure(peer: Peer, error: dict[str, Any]) -> ApiError:
    """An error that came inside a stream, where no status says what kind it is: its type does."""
    status = 500 if error.get("type") == "server_error" else 400
    code = str(error.get("code"))
    return ApiError(status, code, str(error["message"]), error.get("param"), extra={"service": peer.name})
