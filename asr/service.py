"""One transcription request, from the uploaded file to the finished transcript."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass

from werkzeug.datastructures import FileStorage

from asr.engines.base import AsrEngine, EngineGoneError
from asr.settings import AsrSettings
from asr.tasks import Ask, plan
from asr.transcription.transcriber import Transcription
from asr.transcription.transcript import Partial, Transcript
from common.audio.progress import Progress
from common.audio.upload import opened
from common.errors import ApiError
from common.messages import _
from common.models.registry import Lease, Registry

PLACES = 32
"""Recordings worked on at once; each holds a little sound, a file and one or two threads."""
_RETRY_SECONDS = (0.2, 1.0, 5.0)  # what watches engines may hear of the end a little later
_log = logging.getLogger("frigo.asr")


@dataclass(frozen=True)
class Done:
    """A transcript, and what made it."""

    transcript: Transcript
    engine: str
    model: str


class AsrService:
    """Holds the models and bounds how many recordings are worked on at once: they share the model chunk by chunk."""

    def __init__(self, settings: AsrSettings, registry: Registry[AsrEngine]) -> None:
        self.registry = registry
        self._max_seconds = settings.max_audio_seconds
        self._language = settings.asr_language
        self._places = threading.BoundedSemaphore(PLACES)

    def transcribe(
        self, file: FileStorage | None, ask: Ask, model: str | None = None
    ) -> Generator[Progress | Partial | Done, None, None]:
        """Check the request now (so that its errors have their status), then give the steps of the work.

        Raises ApiError: 400 for the file or for what the model can't do, 404 or 503 for the model, 503 `overloaded`.
        """
        with ExitStack() as stack:
            reader = opened(file, self._max_seconds)
            self._take_place(stack)
            leased = stack.enter_context(ExitStack())
            lease = leased.enter_context(self.registry.use(model))
            asked = plan(ask, lease.engine, self.registry.catalogue, self._language, name=lease.entry.key)
            held = stack.pop_all()
        return self._steps(held, leased, lease, Transcription(reader, asked))

    def _take_place(self, stack: ExitStack) -> None:
        if not self._places.acquire(blocking=False):
            message = _("Trop d'enregistrements sont en cours de transcription (%(places)s).", places=PLACES)
            raise ApiError(503, "overloaded", message, headers={"Retry-After": "30"})
        stack.callback(self._places.release)

    def _steps(
        self, held: ExitStack, leased: ExitStack, lease: Lease[AsrEngine], work: Transcription
    ) -> Generator[Progress | Partial | Done, None, None]:
        with held:
            for patience in (*_RETRY_SECONDS, None):
                try:
                    for step in work.steps(lease.engine):
                        yield Done(step, lease.engine.name, lease.entry.key) if isinstance(step, Transcript) else step
                    return
                except EngineGoneError:
                    # Another recording, or the system, ended the engine: a fresh one goes on where this one was.
                    if patience is None:
                        raise
                    _log.warning("engine gone, going on with another", extra={"model": lease.entry.key})
                    leased.close()
                    time.sleep(patience)
                    lease = leased.enter_context(self.registry.use(lease.entry.key))
