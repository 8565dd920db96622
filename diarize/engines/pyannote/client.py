"""pyannote's pipeline as the service uses it: in a process of its own, recordings handed over as files."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from common.audio.decode import SPEECH_RATE, FloatArray
from common.audio.level import LevelledAudio
from common.errors import ApiError
from common.messages import _
from common.models.backends import Placement
from common.process.child import Child, child_stuck
from common.process.engine import ChildEngine
from common.process.variables import model_variables
from diarize.engines.base import Found, Progress, SpeakerRange, Turn
from diarize.engines.pyannote.spec import Facts, Job, Recording, Said, Span, Spec, Step

MODULE = "diarize.engines.pyannote.host"
LOAD_SECONDS = 600.0
SAMPLE_SECONDS = 120.0  # of a sample of one voice; more tells no more
SAME_VOICE = 0.75
"""Cosine from which two voices are one person's: the config.yaml of speaker-diarization-3.1 joins two groups of windows
whose mean unit vectors are nearer than 0.7046, and the cosine of unit vectors at the distance d is 1 - d^2 / 2."""
_STUCK_SECONDS = 900.0
"""Silence beyond which the process counts as stuck, and as many seconds as the recording has: grouping says nothing."""
_WRITING = 0.05  # share of the work


class PyannoteEngine(ChildEngine):
    """Opens the pipeline of `spec` under the interpreter `python`.

    Raises what the pipeline is refused with, and 507 `engine_died` when its process ends while loading.
    """

    name = "pyannote"
    same_voice = SAME_VOICE

    def __init__(self, spec: Spec, placement: Placement, *, python: str = sys.executable) -> None:
        env = model_variables(use_gpu=placement.use_gpu, gpu_device_ids=placement.gpu_device_ids)
        self._child = Child(MODULE, spec, env, load_seconds=LOAD_SECONDS, python=python)
        facts: Facts = self._child.facts
        self.space = facts.space

    def process(self, audio: LevelledAudio, speakers: SpeakerRange) -> Iterator[Progress | Found]:
        """See `DiarizeEngine`. Raises 503 `engine_died`, or `engine_stuck` when its process hangs."""
        with _Written() as file:
            for block in audio.blocks():
                file.add(block)
                yield Progress(_WRITING * min(file.samples / SPEECH_RATE / max(audio.seconds, 1.0), 1.0))
            job = Job(file.recording(), speakers.least, speakers.most)
            items: queue.SimpleQueue[Any] = queue.SimpleQueue()
            cancel = self._child.stream("diarize", (job,), items.put, last=_is_last)
            try:
                while not isinstance(item := self._next(items, audio.seconds), Said):
                    yield Progress(_WRITING + (1 - _WRITING) * item.share)
            finally:
                cancel()
        yield Found(_turns(item.turns), _turns(item.exclusive), {key: _vector(raw) for key, raw in item.voices.items()})

    def embed(self, audio: LevelledAudio) -> FloatArray | None:
        """See `DiarizeEngine`. Raises 503 `engine_died` or `engine_stuck`."""
        most = int(SAMPLE_SECONDS * SPEECH_RATE)
        with _Written() as file:
            for block in audio.blocks():
                file.add(block[: most - file.samples])
                if file.samples == most:
                    break
            raw: bytes | None = self._child.call("embed", file.recording())
        return None if raw is None else _vector(raw)

    def _next(self, items: queue.SimpleQueue[Any], seconds: float) -> Step | Said:
        try:
            item: Step | Said | Exception = items.get(timeout=_STUCK_SECONDS + seconds)
        except queue.Empty as error:
            self._child.kill()  # it will not come back: let it die, to be loaded afresh
            raise child_stuck() from error
        if isinstance(item, Exception):
            raise item
        return item


class _Written:
    """A recording on its way to the process, in a temporary file; removed at the end, if that process has not."""

    def __init__(self) -> None:
        descriptor, name = tempfile.mkstemp(prefix="frigo-", suffix=".f32")
        self._file = os.fdopen(descriptor, "wb")
        self._path = Path(name)
        self.samples = 0

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_error: object) -> None:
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a full disk, said already
            self._file.close()

    def add(self, block: FloatArray) -> None:
        """Append samples. Raises `ApiError` 507 `disk_full`."""
        with _room():
            self._file.write(np.ascontiguousarray(block, np.float32).tobytes())
        self.samples += block.size

    def recording(self) -> Recording:
        """What was written, whole. Raises `ApiError` 507 `disk_full`."""
        with _room():
            self._file.flush()
        return Recording(self._path, self.samples)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ApiError(507, "disk_full", _("Le disque est plein : l'enregistrement ne tient pas.")) from error


def _vector(raw: bytes) -> FloatArray:
    return np.frombuffer(raw, np.float32).copy()


def _turns(spans: tuple[Span, ...]) -> list[Turn]:
    return sorted((Turn(*span) for span in spans), key=lambda turn: (turn.start, turn.end))


def _is_last(item: Step | Said | Exception) -> bool:
    return not isinstance(item, Step)
