"""The demonstration engine that ships with Frigo: PocketSphinx, US English, offline, light, rough."""

from __future__ import annotations

import json
import logging
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from asr.engines.base import Capabilities, Chunk, Heard, Task, Word
from asr.engines.batcher import Batcher
from common.audio.decode import FloatArray
from common.audio.wav import pcm16
from common.errors import ApiError
from common.messages import _

_ROOT = Path(__file__).resolve().parents[3]
_TARGET_RMS = 10.0 ** (-26.0 / 20.0)
_log = logging.getLogger("frigo.asr")

_Found = list[tuple[str, float, float, float]]


class WorkerDiedError(Exception):
    """The decoder's process ended in the middle of a call."""


class _Worker:
    """One decoder process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "asr.engines.embedded.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
        )
        self._answer()

    def decode(self, pcm: bytes) -> _Found:
        assert self._process.stdin is not None  # noqa: S101  a pipe, see __init__
        try:
            self._process.stdin.write(struct.pack("<I", len(pcm)))
            self._process.stdin.write(pcm)
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerDiedError from error
        return self._answer()

    def _answer(self) -> _Found:
        assert self._process.stdout is not None  # noqa: S101  a pipe, see __init__
        head = self._process.stdout.read(4)
        body = self._process.stdout.read(struct.unpack("<I", head)[0]) if len(head) == 4 else b""
        if not body:
            self.stop()
            raise WorkerDiedError
        found: _Found = json.loads(body)
        return found

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class EmbeddedEngine:
    """A few decoder processes, shared chunk by chunk: a long recording does not keep a short one waiting."""

    name = "pocketsphinx"
    capabilities = Capabilities(languages=frozenset({"en"}))
    demo = True
    max_chunk_seconds = 20.0

    def __init__(self, workers: int | None = None) -> None:
        self.workers = max(1, workers or _cpus())
        self._free: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _place in range(self.workers - 1):
            self._free.put(None)  # started on first need
        self._free.put(_Worker())
        self._batcher = Batcher(self._hear, batch_count=1, lanes=self.workers)
        self._closed = threading.Event()

    def transcribe(self, chunks: Iterable[Chunk], task: Task) -> Iterator[Heard]:
        """See `AsrEngine`."""
        return self._batcher.transcribe(chunks, task)

    def _hear(self, chunks: Sequence[Chunk], task: Task) -> list[Heard]:  # noqa: ARG002
        return [_heard(chunk, self._decode(pcm16(_levelled(chunk.samples)))) for chunk in chunks]

    def _decode(self, pcm: bytes) -> _Found:
        worker = self._free.get()
        try:
            for attempt in (1, 2):
                try:
                    worker = worker or _Worker()
                    return worker.decode(pcm)
                except WorkerDiedError:
                    _log.warning("decoder process died", extra={"attempt": attempt})
                    worker = None
        finally:
            if self._closed.is_set() and worker is not None:
                worker.stop()
                worker = None
            self._free.put(worker)
        raise ApiError(500, "engine_failed", _("Le moteur de transcription s'est arrêté deux fois sur ce passage."))

    def close(self) -> None:
        self._closed.set()
        self._batcher.close()
        while not self._free.empty():
            worker = self._free.get_nowait()
            if worker is not None:
                worker.stop()


def _heard(chunk: Chunk, found: _Found) -> Heard:
    words = [
        Word(_written(word), round(chunk.start + a, 2), round(min(chunk.start + b, chunk.end), 2), confidence)
        for word, a, b, confidence in found
    ]
    return Heard(chunk, words)


def _written(word: str) -> str:
    """The dictionary is all lower case; English writes the pronoun "I" and its contractions with a capital."""
    return "I" + word[1:] if word == "i" or word.startswith("i'") else word


def _levelled(samples: FloatArray) -> FloatArray:
    rms = float(np.sqrt(np.mean(np.square(samples)))) if samples.size else 0.0
    return samples * np.float32(_TARGET_RMS / rms) if rms > 1e-6 else samples


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
