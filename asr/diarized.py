"""Who said which word: the words found here joined to the turns that the diarize service finds, side by side."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import FileStorage

from asr.engines.base import Word
from common.audio.upload import kept
from common.errors import ApiError, client_left
from common.messages import _
from common.models.lifecycle.calls import stays
from common.speech.join import join
from common.speech.words import Segment, Turn
from common.speech.words import Word as JoinWord
from common.web.client import Peer, PeerStream
from common.web.multipart import Part

PATH = "/api/diarization/process"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOOK_SECONDS = 0.5  # how often one looks whether the client has left


@dataclass(frozen=True)
class KnownSpeaker:
    """A person's name and a sample of their voice, as a ``data:`` URL."""

    name: str
    sample: str = field(repr=False)


class _Turn(BaseModel):
    speaker: str
    start: float
    end: float


class _Speaker(BaseModel):
    id: str
    name: str | None = None


class _Answer(BaseModel):
    """diarize's answer; `exclusive` has one speaker at a time, which is what words are joined to."""

    segments: list[_Turn]
    exclusive: list[_Turn] | None = None
    speakers: list[_Speaker] = []


class Diarization:
    """A diarization that is under way in the other service. Close it to make the service stop."""

    def __init__(self, stream: PeerStream) -> None:
        self._stream = stream
        self._outcome: queue.Queue[_Answer | ApiError] = queue.Queue(1)
        threading.Thread(target=self._follow, name="diarize", daemon=True).start()

    def check(self) -> None:
        """Raise now what `turns` would raise, if it is known already."""
        if self._outcome.full():
            self.turns(stays)

    def turns(self, gone: Callable[[], bool]) -> list[Turn]:
        """Who speaks when, known people by name and the others by id: waits for the end of the work.

        Raises ApiError: what the service says, or 499 once `gone()`.
        """
        while True:
            try:
                outcome = self._outcome.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if gone():
                    raise client_left() from None
                continue
            break
        self._outcome.put(outcome)
        if isinstance(outcome, ApiError):
            raise outcome
        names = {speaker.id: speaker.name for speaker in outcome.speakers if speaker.name}
        turns = outcome.segments if outcome.exclusive is None else outcome.exclusive
        return [Turn(names.get(turn.speaker, turn.speaker), turn.start, turn.end) for turn in turns]

    def close(self) -> None:
        self._stream.close()

    def _follow(self) -> None:
        """Read to the end whatever happens here: an unread answer would hold the service back."""
        outcome: _Answer | ApiError = _broken(self._stream.service)
        try:
            for name, data in self._stream.events():
                if name == "result":
                    outcome = _Answer.model_validate_json(data)
                elif name == "error":
                    outcome = _failure(self._stream.service, json.loads(data)["error"])
        except ApiError as error:
            outcome = error
        except (ValidationError, ValueError, KeyError, TypeError):
            outcome = _unexpected(self._stream.service)
        finally:
            self._outcome.put(outcome)
            self._stream.close()


class Diarizer:
    """The diarize service, as asr asks it."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def begin(self, file: FileStorage, known: Sequence[KnownSpeaker] = ()) -> Diarization:
        """Send the recording; returns as soon as the service has accepted it.

        Raises ApiError: 503 peer_unavailable, or what the service refuses.
        """
        fields: dict[str, Part] = {"identify": "false"}  # nobody's enrolled name goes to whoever holds a key of /v1
        if known:
            fields["known_speaker_names[]"] = [speaker.name for speaker in known]
            fields["known_speaker_references[]"] = [speaker.sample for speaker in known]
        with kept(file) as recording:
            fields["file"] = (file.filename or "audio", recording, "application/octet-stream")
            stream = self._peer.stream(
                "POST", PATH, fields=fields, query={"stream": "true"}, headers={"Accept": "text/event-stream"}
            )
        if stream.status >= 400:
            with stream:
                stream.read().raise_for_status()
        return Diarization(stream)


@dataclass(frozen=True)
class Said:
    """What one person says at a stretch; times in seconds."""

    speaker: str
    words: Sequence[JoinWord] = field(repr=False)
    start: float
    end: float
    text: str


def joined(words: Sequence[Word], turns: Sequence[Turn], known: Sequence[KnownSpeaker] = ()) -> list[Said]:
    """The words by speaker, in order. Known people have their names; the others are A, B… as they are heard."""
    names = {speaker.name: speaker.name for speaker in known}
    letters = _letters(set(names))
    segments: list[Segment] = join([JoinWord(word.word, word.start, word.end) for word in words], turns)
    for segment in segments:
        if segment.speaker not in names:
            names[segment.speaker] = next(letters)
    return [
        Said(names[segment.speaker], segment.words, segment.start, segment.end, segment.text) for segment in segments
    ]


def _letters(taken: set[str]) -> Iterator[str]:
    """A, B… Z, A2, B2…, without those that are somebody's name."""
    for turn in count(1):
        yield from (label for letter in ALPHABET if (label := letter if turn == 1 else f"{letter}{turn}") not in taken)


def _failure(service: str, error: dict[str, Any]) -> ApiError:
    """An error that came inside a stream, where no status says what kind it is: its type does."""
    status = 502 if error.get("type") == "server_error" else 400
    return ApiError(status, str(error["code"]), str(error["message"]), error.get("param"), extra={"service": service})


def _broken(service: str) -> ApiError:
    message = _("Le service %(service)s a coupé sa réponse.", service=service)
    return ApiError(502, "peer_broken", message, extra={"service": service})


def _unexpected(service: str) -> ApiError:
    message = _("Le service %(service)s a donné une réponse inattendue.", service=service)
    return ApiError(502, "peer_bad_answer", message, extra={"service": service})
