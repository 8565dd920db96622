"""One transcription request, from the uploaded file to the finished transcript."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from werkzeug.datastructures import FileStorage

from asr.engines.base import AsrEngine
from asr.settings import AsrSettings
from asr.tasks import Ask, plan
from asr.transcriber import transcribe
from asr.transcript import Partial, Progress, Transcript
from common.audio.upload import opened
from common.models.registry import Registry

__all__ = ["Ask", "AsrService", "Done", "Partial", "Progress"]


@dataclass(frozen=True)
class Done:
    """A transcript, and what made it."""

    transcript: Transcript
    engine: str
    model: str


class AsrService:
    """Holds the models and bounds how many recordings are worked on at once (the others wait their turn)."""

    def __init__(self, settings: AsrSettings, registry: Registry[AsrEngine]) -> None:
        self.registry = registry
        self._max_seconds = settings.max_audio_seconds
        self._language = settings.asr_language
        self._places = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))

    def transcribe(
        self, file: FileStorage | None, ask: Ask, model: str | None = None
    ) -> Generator[Progress | Partial | Done, None, None]:
        """Check the request now (so that its errors have their status), then give the steps of the work.

        Raises ApiError: 400 for the file or for what the model can't do, 404 or 503 for the model.
        """
        with ExitStack() as stack:
            reader = opened(file, self._max_seconds)
            lease = stack.enter_context(self.registry.use(model))
            asked = plan(ask, lease.engine, self.registry.catalogue, self._language)
            held = stack.pop_all()

        def steps() -> Generator[Progress | Partial | Done, None, None]:
            with held, self._places:
                for step in transcribe(lease.engine, reader, asked):
                    if isinstance(step, Transcript):
                        yield Done(step, lease.engine.name, lease.entry.key)
                    else:
                        yield step

        return steps()

    @staticmethod
    def last(steps: Iterator[Progress | Partial | Done]) -> Done:
        """Do the whole work and give the result."""
        for step in steps:
            if isinstance(step, Done):
                return step
        raise AssertionError("a transcription ends with its transcript or with an error")
