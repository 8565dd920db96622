"""What a meeting asks of the other services: transcription, diarization, minutes, diagram."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from common.errors import ApiError
from common.messages import _
from common.web.client import Cancellation, Peer, PeerStream
from common.web.multipart import Part as FormPart

_TEMPORARY_CODES = {"peer_unavailable", "peer_broken", "peer_error", "model_not_ready", "overloaded"}
_CHAT_LANGUAGES = {"fr", "en"}
_SEEN_SECONDS = 1.0
CHAT_SECONDS = 1800.0
"""How long minutes or a diagram may take: a large model on a small machine is slow."""

A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True)
class Advance:
    """How far a service is: a share (0..1) and, when it says so, seconds of sound, of how many, how many a second."""

    share: float
    done: float | None = None
    total: float | None = None
    rate: float | None = None


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


class Part(BaseModel):
    """Words of asr that will not change any more: with earlier parts, all that begins before the second `through`."""

    words: list[HeardWord]
    through: float


Progress = Callable[[Advance], None]
Parts = Callable[[Part], None]


class SpokenTurn(BaseModel):
    speaker: str
    start: float
    end: float


class KnownSpeaker(BaseModel):
    """A person, and whose voice it is when diarize knows it."""

    id: str
    name: str | None = None
    similarity: float | None = None


class Diarization(BaseModel):
    """diarize's answer (DESIGN §2). `exclusive` are the turns with one speaker at a time: what words are joined to."""

    segments: list[SpokenTurn]
    exclusive: list[SpokenTurn] = Field(default_factory=list)
    speakers: list[KnownSpeaker] = Field(default_factory=list)
    duration: float
    model: str | None = None
    warnings: list[str] = Field(default_factory=list)

    @property
    def names(self) -> dict[str, str]:
        """The names of the speakers whose voice is known."""
        return {speaker.id: speaker.name for speaker in self.speakers if speaker.name}


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


def transcribe(
    peer: Peer, call: Call, recording: Path, fields: Mapping[str, object], progress: Progress, parts: Parts
) -> Transcription:
    """The words of the recording and their times, from the second ``fields["start"]`` on.

    `parts` is given the words as they are found; together they are the answer's.
    """
    answer = _upload(peer, call, "/api/audio/transcribe", recording, fields, progress, parts)
    return _checked(peer, Transcription, answer)


def diarize(peer: Peer, call: Call, recording: Path, fields: Mapping[str, object], progress: Progress) -> Diarization:
    """Who speaks when."""
    answer = _upload(peer, call, "/api/diarization/process", recording, fields, progress, lambda _part: None)
    return _checked(peer, Diarization, answer)


def minutes(
    peer: Peer, call: Call, segments: list[dict[str, Any]], language: str | None, progress: Progress
) -> dict[str, Any]:
    """chat's minutes: summary, decisions, actions, open_points, each with its seconds, and all of it as markdown.

    `segments` are as a meeting shows them, their speakers by name.
    """
    body = {"segments": segments, "stream": True} | _language(language)
    headers = {"Accept": "text/event-stream, application/json"}
    with call.to(peer, "/api/minutes", json=body, headers=headers, timeout=CHAT_SECONDS) as stream:
        return _answered(peer, stream, progress, lambda _part: None)


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
    peer: Peer,
    call: Call,
    path: str,
    recording: Path,
    fields: Mapping[str, object],
    progress: Progress,
    found: Parts,
) -> dict[str, Any]:
    """Send the recording; follow the progress events when the service gives them, else wait for its JSON."""
    with recording.open("rb") as file:
        given = {name: str(value) for name, value in fields.items() if value is not None}
        parts: dict[str, FormPart] = {**given, "file": (recording.name, file, "application/octet-stream")}
        headers = {"Accept": "text/event-stream, application/json"}
        with call.to(peer, path, fields=parts, query={"stream": "true"}, headers=headers) as stream:
            return _answered(peer, stream, progress, found)


def _answered(peer: Peer, stream: PeerStream, progress: Progress, found: Parts) -> dict[str, Any]:
    """The answer, by events when the service gives them, else as JSON."""
    if stream.status >= 400 or "text/event-stream" not in stream.headers.get("Content-Type", ""):
        answer = stream.read().raise_for_status().json()
        if not isinstance(answer, dict):
            raise _bad_answer(peer)
        return answer
    return _followed(peer, stream, progress, found)


def _followed(peer: Peer, stream: PeerStream, progress: Progress, found: Parts) -> dict[str, Any]:
    pace = _Pace()
    for name, data in stream.events():
        try:
            payload = json.loads(data)
            if name == "progress":
                progress(pace.advance(payload))
            elif name == "partial":
                found(Part.model_validate(payload))
            elif name == "result":
                return dict(payload)
            elif name == "error":
                raise _failure(peer, payload["error"])
        except (ValueError, KeyError, TypeError) as error:
            raise _bad_answer(peer) from error
    message = _("Le service %(service)s a coupé sa réponse.", service=peer.name)
    raise ApiError(502, "peer_broken", message, extra={"service": peer.name})


class _Pace:
    """Reads progress events; the rate is the service's own, else what we see of it."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def advance(self, payload: Mapping[str, Any]) -> Advance:
        share = float(payload["progress"])
        if payload.get("seconds_done") is None or payload.get("seconds_total") is None:
            return Advance(share)
        done, total = float(payload["seconds_done"]), float(payload["seconds_total"])
        return Advance(share, done, total, float(payload.get("rate") or 0.0) or self._seen(done))

    def _seen(self, done: float) -> float | None:
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        since, was = self._first
        return (done - was) / (now - since) if done > was and now - since >= _SEEN_SECONDS else None


def _failure(peer: Peer, error: dict[str, Any]) -> ApiError:
    """An error that came inside a stream, where no status says what kind it is: its type does."""
    status = 500 if error.get("type") == "server_error" else 400
    code = str(error.get("code"))
    return ApiError(status, code, str(error["message"]), error.get("param"), extra={"service": peer.name})
