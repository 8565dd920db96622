"""A sample of one person's voice, cut from the recording of a meeting, for diarize to know again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.meetings.store import Turns
from common.audio.decode import SPEECH_RATE, AudioReader, FloatArray
from common.audio.wav import write_wav
from common.errors import ApiError
from common.messages import _
from common.web.client import Peer
from common.web.multipart import Part

MOST_SECONDS = 30.0
_EDGE = 0.25  # left out at both ends of a turn, whose times are off by about that
_LEAST = 0.75  # a shorter stretch is a «oui», over which others often speak
_TIMEOUT = 300.0

Span = tuple[float, float]


def best_spans(turns: Turns, speaker: str) -> list[Span]:
    """Up to `MOST_SECONDS` of the speaker's longest turns, in which nobody else speaks, in the order of time."""
    mine = [turn for turn in turns.exclusive if turn["speaker"] == speaker]
    others = [(turn["start"], turn["end"]) for turn in turns.all if turn["speaker"] != speaker]
    alone = [span for turn in mine for span in _without((turn["start"], turn["end"]), others)]
    inner = [(start + _EDGE, end - _EDGE) for start, end in alone if end - start - 2 * _EDGE >= _LEAST]
    found: list[Span] = []
    left = MOST_SECONDS
    for start, end in sorted(inner or alone, key=lambda span: span[0] - span[1]):
        end = min(end, start + left)
        found.append((start, end))
        left -= end - start
        if left <= 0:
            break
    return sorted(found)


def _without(span: Span, others: Sequence[Span]) -> list[Span]:
    """What is left of `span` outside the others."""
    left = [span]
    for start, end in others:
        if start < span[1] and end > span[0]:
            pieces = [piece for a, b in left for piece in ((a, min(b, start)), (max(a, end), b))]
            left = [(a, b) for a, b in pieces if b > a]
    return left


def cut(recording: Path, spans: Sequence[Span]) -> bytes:
    """Those stretches of the recording, one after the other, as a WAV. Raises ApiError when it can't be read."""
    reader = AudioReader(recording)
    pieces: list[FloatArray] = []
    at, wanted = 0, [(round(a * SPEECH_RATE), round(b * SPEECH_RATE)) for a, b in spans]
    for block in reader.blocks():
        until = at + block.size
        pieces += [block[max(a - at, 0) : b - at] for a, b in wanted if a < until and b > at]
        at = until
        if at >= wanted[-1][1]:
            break
    out = io.BytesIO()
    write_wav(out, [piece.astype(np.float32) for piece in pieces], SPEECH_RATE)
    return out.getvalue()


def enrol(diarize: Peer, name: str, sample: bytes) -> dict[str, Any]:
    """diarize's answer for the new voice. Raises its refusal, said for somebody who chose a speaker, not a file."""
    fields: dict[str, Part] = {"name": name, "file": ("voix.wav", io.BytesIO(sample), "audio/wav")}
    try:
        answer = diarize.request("POST", "/api/diarization/voices", fields=fields, timeout=_TIMEOUT)
        return dict(answer.raise_for_status().json())
    except ApiError as error:
        if error.code in {"sample_too_short", "too_little_speech"}:
            message = _(
                "Cette personne ne parle pas assez longtemps seule dans cette réunion pour que sa voix soit reconnue "
                "plus tard ; choisissez-en une autre, ou envoyez un extrait de 3 à 60 secondes."
            )
            raise ApiError(400, error.code, message, "speaker") from error
        if error.code == "several_voices":
            message = _(
                "On entend plusieurs voix dans ce que dit cette personne : la réunion a sans doute confondu deux "
                "personnes. Envoyez plutôt un extrait où elle parle seule."
            )
            raise ApiError(400, error.code, message, "speaker") from error
        raise
