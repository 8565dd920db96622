"""Known voices: one vector per enrolled sample, never the sound, and the names that they give to new speakers.

They are biometric data (GDPR article 9): kept in one file that only the service's user may read, and gone for good
when deleted. Vectors of two speaker encoders cannot be compared, so each says which `space` it lives in.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from common.audio.decode import FloatArray
from common.errors import ApiError
from common.messages import _
from diarize.linkage import best_pairs

MOST_VOICES = 500
MOST_NAME = 80
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True)
class Voice:
    """One enrolled sample. Several may carry the same name: any of them is that person."""

    id: str
    name: str
    seconds: float
    model: str
    created: str
    space: str
    vector: FloatArray = field(repr=False)


@dataclass(frozen=True)
class Known:
    """A name and a unit vector of its voice; `id` when it is an enrolled one."""

    name: str
    vector: FloatArray = field(repr=False)
    id: str | None = None


@dataclass(frozen=True)
class Match:
    """A speaker's name, and the cosine similarity of the voices."""

    name: str
    similarity: float
    id: str | None = None


def clean_name(given: str, param: str = "name") -> str:
    """The name on one line. Raises ApiError 400 when it is empty, too long or holds what cannot be seen."""
    name = " ".join(given.split())
    if not name or len(name) > MOST_NAME or _UNSEEN.search(name):
        message = _("Le nom doit tenir en 1 à %(most)s caractères visibles, sur une ligne.", most=MOST_NAME)
        raise ApiError(400, "invalid_value", message, param)
    return name


def recognised(voices: Mapping[str, FloatArray], known: Sequence[Known], least: float) -> dict[str, Match]:
    """Speaker → known name, each name and each speaker at most once, so that the similarities are greatest in all.

    Only pairs whose cosine similarity reaches `least` count. A name with several samples is as near as its nearest.
    """
    speakers = list(voices)
    names = list(dict.fromkeys(item.name for item in known))
    if not speakers or not names:
        return {}
    likeness = np.full((len(speakers), len(names)), -1.0)
    best: dict[tuple[int, int], Known] = {}
    for row, speaker in enumerate(speakers):
        for item in known:
            column = names.index(item.name)
            similarity = _cosine(voices[speaker], item.vector)
            if similarity > likeness[row, column]:
                likeness[row, column] = similarity
                best[row, column] = item
    worth = np.where(likeness >= least, likeness + 1.0, 0.0)  # two pairs are worth more than any one
    return {
        speakers[row]: Match(names[column], round(float(likeness[row, column]), 4), best[row, column].id)
        for row, column in best_pairs(worth)
        if worth[row, column] > 0
    }


def _cosine(one: FloatArray, other: FloatArray) -> float:
    if one.shape != other.shape:
        return -1.0
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norms if norms > 0 else -1.0


class VoiceStore:
    """The voices in a JSON file, written whole or not at all. Processes that share the folder see each other's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def all(self) -> list[Voice]:
        """Every voice, the oldest first. Raises ApiError 500 voices_unreadable."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        try:
            return [_voice(item) for item in json.loads(text)["voices"]]
        except (ValueError, KeyError, TypeError) as error:
            message = _("Le fichier des voix connues (voices.json) est illisible ; restaurez-le ou supprimez-le.")
            raise ApiError(500, "voices_unreadable", message) from error

    def add(self, *, name: str, seconds: float, model: str, space: str, vector: FloatArray) -> Voice:
        """Keep a voice. Raises ApiError 409 when there is no room."""
        created = datetime.now(UTC).isoformat(timespec="seconds")
        voice = Voice(uuid.uuid4().hex, name, seconds, model, created, space, np.asarray(vector, np.float32))
        with self._changing() as voices:
            if len(voices) >= MOST_VOICES:
                message = _("Il y a déjà %(most)s voix connues : supprimez-en.", most=MOST_VOICES)
                raise ApiError(409, "too_many_voices", message)
            voices.append(voice)
        return voice

    def delete(self, voice_id: str) -> None:
        """Forget a voice. Raises ApiError 404."""
        with self._changing() as voices:
            kept = [voice for voice in voices if voice.id != voice_id]
            if len(kept) == len(voices):
                message = _("Aucune voix connue n'a l'identifiant « %(id)s ».", id=voice_id[:40])
                raise ApiError(404, "voice_not_found", message)
            voices[:] = kept

    @contextmanager
    def _changing(self) -> Iterator[list[Voice]]:
        """The voices, written back at the end of the block unless it raises."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        with self._lock, os.fdopen(os.open(self._path.with_suffix(".lock"), flags, 0o600), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            voices = self.all()
            yield voices
            self._write(voices)

    def _write(self, voices: Sequence[Voice]) -> None:
        body = json.dumps({"version": 1, "voices": [_stored(voice) for voice in voices]}, ensure_ascii=False)
        new = self._path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(body)
            out.flush()
            os.fsync(out.fileno())
        new.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _stored(voice: Voice) -> dict[str, Any]:
    vector = base64.b64encode(np.asarray(voice.vector, "<f4").tobytes()).decode("ascii")
    return {
        "id": voice.id,
        "name": voice.name,
        "seconds": voice.seconds,
        "model": voice.model,
        "created": voice.created,
        "space": voice.space,
        "vector": vector,
    }


def _voice(item: Mapping[str, Any]) -> Voice:
    vector = np.frombuffer(base64.b64decode(item["vector"], validate=True), "<f4").astype(np.float32)
    if not vector.size or not np.isfinite(vector).all():
        raise ValueError("not a voice")
    return Voice(
        id=str(item["id"]),
        name=str(item["name"]),
        seconds=float(item["seconds"]),
        model=str(item["model"]),
        created=str(item["created"]),
        space=str(item["space"]),
        vector=vector,
    )
