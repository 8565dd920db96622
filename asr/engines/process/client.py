"""A speech model that runs in a process of its own, as the service uses it."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr.engines.base import Capabilities, Chunk, EngineGoneError, Heard, Task, Word
from asr.engines.batcher import Batcher
from asr.engines.process.spec import Facts, Opening, Said, Spec
from common.errors import ApiError
from common.process.child import Child, child_died
from common.process.engine import ChildEngine
from common.process.variables import model_variables
from common.speech.words import spread

MODULE = "asr.engines.process.host"
LOAD_SECONDS = 1800.0
CALL_SECONDS = 120.0
SLOWEST = 60.0
"""Seconds of work for one second of sound beyond which a model counts as stuck."""
_ENDS = {"engine_died", "engine_stuck"}
_STEADY = {
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(16 * 2**20),
}
"""By default oneDNN keeps what it prepared for each of a thousand shapes, and malloc the holes that batches leave: with
a length for each batch, 1.1 GB more after three hours of sound than after three minutes, measured. 64 are those of the
batch under way, which its layers share: without any, a batch takes an eighth more of the processor's time."""


class ProcessEngine(ChildEngine):
    """Opens the model at `path` with the class called `engine`, under the interpreter `python`.

    Raises what the model refuses it with, and 507 `engine_died` when its process ends while loading.
    """

    demo = False

    def __init__(
        self,
        engine: str,
        path: Path,
        opening: Opening,
        *,
        python: str = sys.executable,
        log_level: str = "INFO",
        log_dir: Path | None = None,
    ) -> None:
        spec = Spec(engine, path, opening, log_level, log_dir)
        self._child = Child(
            MODULE,
            spec,
            _STEADY
            | model_variables(use_gpu=opening.use_gpu, gpu_device_ids=opening.gpu_device_ids, threads=opening.threads),
            load_seconds=LOAD_SECONDS,
            python=python,
        )
        facts: Facts = self._child.facts
        self.name = facts.name
        self.capabilities: Capabilities = facts.capabilities
        self.max_chunk_seconds = facts.max_chunk_seconds
        self._numbers = itertools.count()
        self._turn = threading.Lock()
        self._end: ApiError | None = None  # how the process ended, if it did
        self._batcher = Batcher(self._decode, batch_seconds=facts.batch_seconds, ahead=True)

    def transcribe(self, chunks: Iterable[Chunk], task: Task) -> Iterator[Heard]:
        """See `AsrEngine`. Raises 503 `engine_died` when the process ends meanwhile, `engine_stuck` when it hangs.

        What was being decoded then is lost to its recordings; those that waited get an `EngineGoneError`.
        """
        return self._batcher.transcribe(chunks, task)

    def close(self) -> None:
        """End the process: its memory is back when this returns. What was being decoded is given up.

        After a process that ended by itself, the recordings that wait get an `EngineGoneError`.
        """
        ended = self._child.ended
        self._batcher.refuse(None if ended is None else _gone(child_died(ended)))
        self._child.close()
        self._batcher.close()

    def _decode(self, chunks: Sequence[Chunk], task: Task) -> list[Heard]:
        """Called by two threads: the sound of one batch goes to the process while another is decoded there."""
        sound = sum(chunk.seconds for chunk in chunks)
        number = next(self._numbers)
        try:
            self._call("hold", number, [np.ascontiguousarray(one.samples, np.float32).tobytes() for one in chunks])
        except ApiError as error:
            raise (_gone(error) if error.code in _ENDS else error) from error
        with self._turn:
            said: list[Said] = self._call("transcribe", number, task, seconds=CALL_SECONDS + SLOWEST * sound)
        return [_heard(chunk, one) for chunk, one in zip(chunks, said, strict=True)]

    def _call(self, method: str, *args: Any, seconds: float = CALL_SECONDS) -> Any:
        """Call the process; one that ended before it was given anything to do, or hangs, is not the call's fault."""
        if self._end is not None:
            raise _gone(self._end)
        try:
            return self._child.call(method, *args, seconds=seconds)
        except ApiError as error:
            if error.code in _ENDS:
                self._end = self._end or error
            if error.code == "engine_stuck":  # it will not come back: let it die, to be loaded afresh
                self._child.kill()
            if error.code == "engine_died" and isinstance(error.__cause__, OSError):
                raise _gone(error) from error
            raise


def _gone(error: ApiError) -> EngineGoneError:
    return EngineGoneError(503, "engine_died", error.message, headers={"Retry-After": "3"})


def _heard(chunk: Chunk, said: Said) -> Heard:
    """`said` in the recording's own time; a text without times is spread over the voiced parts."""
    if not said.words and said.text.strip():
        return Heard(chunk, spread_words(said.text, chunk), said.language)
    words = [
        Word(
            word,
            round(chunk.start + min(max(start, 0.0), chunk.seconds), 3),
            round(chunk.start + min(max(end, start, 0.0), chunk.seconds), 3),
            confidence,
        )
        for word, start, end, confidence in said.words
    ]
    return Heard(chunk, words, said.language)


def spread_words(text: str, chunk: Chunk) -> list[Word]:
    """The words of `text` over the voiced parts of `chunk` (all of it when there are none), by their length."""
    spans = chunk.voiced or ((chunk.start, chunk.end),)
    words = spread(text, 0.0, sum(end - start for start, end in spans))  # as if the parts touched
    placed = []
    gone, at = 0.0, 0
    for word in words:
        middle = (word.start + word.end) / 2
        while at < len(spans) - 1 and middle >= gone + spans[at][1] - spans[at][0]:
            gone += spans[at][1] - spans[at][0]
            at += 1
        first, last = spans[at]
        start = min(max(first + word.start - gone, first), last)
        end = min(max(first + word.end - gone, start), last)
        placed.append(Word(word.word, round(start, 3), round(end, 3)))
    return placed
