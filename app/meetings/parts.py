"""What asr has found so far, kept so that a transcription that is interrupted goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from app.meetings.calls import HeardWord, Part, Transcription
from app.meetings.record import LostError, Record

KEEP_SECONDS = 3.0
"""Parts that come faster than this are written together: what a kill can lose is this much work."""


class Keeper:
    """Writes the parts of one attempt, the last ones too when it fails."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._words: list[HeardWord] = []
        self._through: float | None = None
        self._written = 0.0  # when; a first part is written at once

    def keep(self, part: Part) -> None:
        self._words += part.words
        self._through = part.through
        if time.monotonic() - self._written >= KEEP_SECONDS:
            self._write()

    def _write(self) -> None:
        if self._through is None:
            return
        self._record.part(self._words, self._through)
        self._words, self._through, self._written = [], None, time.monotonic()

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, LostError):
            return  # the result holds everything, or it is no longer ours to write
        try:
            self._write()
        except LostError:
            return


def continued(known: Sequence[HeardWord], start: float, found: Transcription) -> Transcription:
    """The whole transcription: words kept before, and those found from the second `start` on."""
    if not start:
        return found
    later = [word for word in found.words if word.start >= start]
    text = " ".join([*(word.word.strip() for word in known), found.text]).strip()
    return found.model_copy(update={"words": [*known, *later], "text": text, "segments": []})
