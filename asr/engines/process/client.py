"""A speech model that runs in a process of its own, as the service uses it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from asr.engines.base import Capabilities, Chunk, EngineGoneError, Heard, Task, Word
from asr.engines.batcher import Batcher
from asr.engines.process.spec import Facts, Opening, Said, Spec
from common.errors import ApiError
from common.machine.resources import usable_cpus
from common.messages import Text
from common.process.child import Child
from common.speech.join import spread

MODULE = "asr.engines.process.host"
LOAD_SECONDS = 1800.0
CALL_SECONDS = 120.0
SLOWEST = 60.0
"""Seconds of work for one second of sound beyond which a model counts as stuck."""


class ProcessEngine:
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
        self._child = Child(MODULE, spec, _environment(opening), load_seconds=LOAD_SECONDS, python=python)
        facts: Facts = self._child.facts
        self.name = facts.name
        self.capabilities: Capabilities = facts.capabilities
        self.max_chunk_seconds = facts.max_chunk_seconds
        self._end: Text | str | None = None  # why the process ended, if it did
        self._batcher = Batcher(self._decode, batch_seconds=facts.batch_seconds, ahead=True)

    @property
    def pid(self) -> int:
        return self._child.pid

    def transcribe(self, chunks: Iterable[Chunk], task: Task) -> Iterator[Heard]:
        """See `AsrEngine`. Raises 503 `engine_died` when the process ends meanwhile, `engine_stuck` when it hangs.

        What was being decoded then is lost to its recordings; those that waited get an `EngineGoneError`.
        """
        return self._batcher.transcribe(chunks, task)

    def watch(self, died: Callable[[Text], None]) -> None:
        """Call `died(reason)` once, if the process ends without having been asked to."""
        self._child.watch(died)

    def memory_bytes(self) -> int:
        """Bytes that come back when the engine closes, measured."""
        return self._child.memory_bytes()

    def close(self) -> None:
        """End the process: its memory is back when this returns. What was being decoded is given up."""
        self._batcher.refuse()
        self._child.close()
        self._batcher.close()

    def _decode(self, chunks: Sequence[Chunk], task: Task) -> list[Heard]:
        if self._end is not None:
            raise EngineGoneError(503, "engine_died", self._end, headers={"Retry-After": "3"})
        sound = sum(chunk.seconds for chunk in chunks)
        pcm = [np.ascontiguousarray(chunk.samples, np.float32).tobytes() for chunk in chunks]
        try:
            said: list[Said] = self._child.call("transcribe", pcm, task, seconds=CALL_SECONDS + SLOWEST * sound)
        except ApiError as error:
            if error.code in {"engine_died", "engine_stuck"}:
                self._end = error.message
            if error.code == "engine_stuck":  # it will not come back: let it die, to be loaded afresh
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._child.pid, signal.SIGKILL)
            raise
        return [_heard(chunk, one) for chunk, one in zip(chunks, said, strict=True)]


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
    total = sum(end - start for start, end in spans)

    def at(position: float) -> float:
        for start, end in spans:
            if position <= end - start:
                return start + position
            position -= end - start
        return spans[-1][1]

    return [Word(w.word, round(at(w.start), 3), round(at(w.end), 3)) for w in spread(text, 0.0, total)]


def _environment(opening: Opening) -> dict[str, str]:
    """Variables that the libraries read when they start, before any code of ours."""
    threads = str(opening.threads or usable_cpus())
    env = {
        "OMP_WAIT_POLICY": "passive",  # else two models on the same cores spin against each other
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "MALLOC_ARENA_MAX": "2",  # an arena per thread keeps what each once needed
    }
    if not opening.use_gpu:
        env["CUDA_VISIBLE_DEVICES"] = ""
    elif opening.gpu_device_ids:
        env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # as nvidia-smi numbers them
        env["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, opening.gpu_device_ids))
    return env
