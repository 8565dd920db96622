"""One thread owns the model and moves every running generation on: continuous batching.

Each turn reads some prompt ids, `PROMPT_SHARE` of them at most, then gives every generation that has read its prompt
one token, in one step for all. Nobody waits for a whole answer, nor for somebody's long prompt. One thread also means
one OpenMP pool: threads per request would each bring their own.

A generation enters when its prompt fits in the cache beside the others. Answers grow; when the cache is full the last
to enter gives its place back and is read again, prompt and answer so far, when there is room.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import torch

from common.errors import ApiError
from gpt.engines.queueing import MAX_WAITING, queue_full, unloaded
from gpt.engines.transformers.runner import Feed, Runner
from gpt.engines.transformers.sampling import draw
from gpt.engines.transformers.sequence import Sequence

PROMPT_SHARE = 512  # prompt ids read in a turn, rounded up to a slice
_ROOM = 32  # tokens that each generation shall be able to grow by when another enters
_log = logging.getLogger("frigo.gpt")
T = TypeVar("T")


class Scheduler:
    """Runs the sequences of one model."""

    def __init__(self, runner: Runner, threads: int) -> None:
        self._runner = runner
        self._threads = threads
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []  # in the order they entered
        self._jobs: deque[Callable[[], None]] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="gpt-decode", daemon=True)
        self._thread.start()

    def submit(self, sequence: Sequence) -> None:
        """Queue `sequence`. Raises 503 when too many already wait, or when the model is being unloaded."""
        with self._change:
            if self._closed:
                raise unloaded()
            if sum(not other.cancelled for other in self._waiting) >= MAX_WAITING:
                raise queue_full(MAX_WAITING)
            self._waiting.append(sequence)
            self._change.notify()

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, done by the model's thread between two steps: what changes the model (adapters)."""
        done: Future[T] = Future()

        def job() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
                done.set_exception(error)

        with self._change:
            if self._closed:
                raise unloaded()
            self._jobs.append(job)
            self._change.notify()
        return done.result()

    @property
    def load(self) -> tuple[int, int]:
        """How many sequences are running, and how many wait."""
        return len(self._running), len(self._waiting)

    def close(self) -> None:
        """Stop the thread; what is still running ends with an error."""
        with self._change:
            self._closed = True
            self._change.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=30)
        self._runner.close()

    def _serve(self) -> None:
        torch.set_num_threads(self._threads)  # counts for the thread that sets it
        try:
            with torch.inference_mode():
                while self._admit():
                    self._turn()
        except Exception:
            with self._change:
                self._closed = True
            raise  # without its thread it serves no more: the process that holds it ends, and the model is loaded again
        finally:
            for sequence in (*self._running, *self._waiting):
                sequence.fail(unloaded())
            self._running = []
            self._waiting.clear()
            while self._jobs:
                self._jobs.popleft()()

    def _admit(self) -> bool:
        """Take waiting sequences in; sleep while there is nothing to do. False once closed."""
        with self._change:
            while not (self._closed or self._waiting or self._running or self._jobs):
                self._change.wait()
            jobs, self._jobs = self._jobs, deque()
            for left in [s for s in self._waiting if s.cancelled]:
                self._waiting.remove(left)
            while not self._closed and self._waiting and self._has_room(self._waiting[0]):
                self._running.append(self._waiting.popleft())
        for job in jobs:
            job()
        return not self._closed

    def _has_room(self, sequence: Sequence) -> bool:
        if not self._running:
            return True
        if len(self._running) >= self._runner.rows:
            return False
        return self._runner.fits([len(s.ids) + _ROOM for s in (*self._running, sequence)])

    def _turn(self) -> None:
        """Move everybody on, prompts by a share, answers by a token; then let go of who is done."""
        for sequence in self._running:
            if sequence.row is None and not sequence.cancelled:
                self._guard(sequence, self._enter)
        self._drop()
        self._make_room()
        share = PROMPT_SHARE
        for sequence in [s for s in self._running if s.pending > self._runner.joint or s.images]:
            if share <= 0:
                break
            share -= min(sequence.pending, self._runner.slice)
            self._advance([sequence])
        self._drop()
        ready = [s for s in self._running if s.pending <= self._runner.joint and not s.images]
        for first in range(0, len(ready), self._runner.width):
            self._advance(ready[first : first + self._runner.width])
            self._drop()

    def _enter(self, sequence: Sequence) -> None:
        sequence.begin()
        if not sequence.finished:
            sequence.row = self._runner.open()

    def _make_room(self) -> None:
        """Send the last ones back to wait until what the turn will write fits."""
        while len(self._running) > 1 and not self._runner.fits([len(s.ids) for s in self._running]):
            last = self._running.pop()
            self._runner.release(last.row)
            last.row, last.read = None, 0
            with self._change:
                self._waiting.appendleft(last)

    def _advance(self, sequences: list[Sequence]) -> None:
        """One step of the model for `sequences`, and the tokens that come of it."""
        limit = self._runner.slice if len(sequences) == 1 else self._runner.joint
        feeds = [Feed(s.row, s.next_ids(limit), s.request.adapter, s.images) for s in sequences]
        try:
            logits = self._runner.step(feeds)
        except Exception as error:  # noqa: BLE001  it belongs to these readers, not to the thread
            if len(sequences) == 1:
                self._fail(sequences[0], error)
            else:
                _log.warning("a step of %d failed (%s), each is tried alone", len(sequences), error)
                for sequence in sequences:
                    self._advance([sequence])
            return
        for sequence, feed in zip(sequences, feeds, strict=True):
            sequence.read += len(feed.ids)
        rows = [i for i, s in enumerate(sequences) if s.pending == 0 and self._guard(s, s.sampler.shape, logits[i])]
        if not rows:
            return
        drawn = logits if len(rows) == len(sequences) else logits[torch.tensor(rows, device=logits.device)]
        self._sample([sequences[i] for i in rows], drawn)

    def _sample(self, sequences: list[Sequence], logits: torch.Tensor) -> None:
        """Draw a token for each sequence from its row of shaped logits."""
        try:
            tokens = draw([s.sampler for s in sequences], logits)
        except Exception as error:  # noqa: BLE001  as above
            if len(sequences) == 1:
                self._fail(sequences[0], error)
                return
            for i, sequence in enumerate(sequences):
                self._sample([sequence], logits[i : i + 1])
            return
        for sequence, token, row in zip(sequences, tokens, logits, strict=True):
            self._guard(sequence, sequence.accept, token, row)

    def _guard(self, sequence: Sequence, work: Callable[..., None], *arguments: object) -> bool:
        """Do a sequence's own work; an exception of it ends that sequence alone. True when it went well."""
        try:
            work(*(arguments or (sequence,)))
        except Exception as error:  # noqa: BLE001  it belongs to this sequence's reader, not to the others
            self._fail(sequence, error)
            return False
        return True

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        if not isinstance(error, ApiError):
            _log.error("generation failed", exc_info=error)
        sequence.fail(error)

    def _drop(self) -> None:
        """Give back the rows of the sequences that are over."""
        over: list[Sequence] = []
        staying: list[Sequence] = []
        for sequence in self._running:  # asked once: who leaves between two looks would keep its row for ever
            (over if sequence.done else staying).append(sequence)
        for sequence in over:
            if sequence.row is not None:
                self._runner.release(sequence.row)
                sequence.row = None
        self._running = staying
