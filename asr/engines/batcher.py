"""Chunks of several recordings, shared out fairly among the batches that a model decodes.

Each recording puts a few chunks ahead; whenever the model is free, the recording that has waited longest gives its
earliest one, and the batch is filled with chunks of every other recording of the same task, in turn, similar lengths
first (a batch costs its longest chunk times its count). So no recording waits for another to end, and one alone fills
the batches by itself. A newcomer passes before the others, every other batch at most: a dictation is soon heard, and
a stream of dictations does not stop a meeting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from asr.engines.base import Chunk, Heard, Task
from common.errors import ApiError
from common.messages import _

Decode = Callable[[Sequence[Chunk], Task], list[Heard]]
MAX_BATCH = 64
AHEAD_SECONDS = 900.0
"""Sound that one recording may have in memory here, at most (57 MB), unless a single batch is longer."""
_QUICK_BATCH = 1.0


@dataclass(eq=False)
class _Work:
    """A chunk on its way."""

    chunk: Chunk
    answer: Future[Heard] = field(default_factory=Future)


@dataclass(eq=False)
class _Request:
    """A recording under way, and the chunks it has waiting, in order."""

    task: Task
    waiting: list[_Work] = field(default_factory=list)
    served: bool = False


_Batch = list[_Work]


class Batcher:
    """Shares `decode` (called from up to `lanes` threads) among the recordings that are being transcribed.

    A batch holds at most `batch_seconds` of sound, padding included, and `batch_count` chunks, and always at least one.
    With `ahead`, another batch is handed to `decode` while one is being computed, when batches are so quick that the
    way to the model counts; when they are slow, it would only make newcomers wait.
    """

    def __init__(
        self,
        decode: Decode,
        *,
        batch_seconds: float = 0.0,
        batch_count: int = MAX_BATCH,
        lanes: int = 1,
        ahead: bool = False,
    ) -> None:
        self._decode = decode
        self._seconds = batch_seconds
        self._count = batch_count
        self._lanes = lanes
        self._ahead = ahead
        self._took: float | None = None
        self._lock = threading.Lock()
        self._turns: list[_Request] = []
        self._running = 0
        self._passed = False  # a newcomer had the last batch before its turn
        self._refusal: ApiError | None = None  # of what waits, and of what comes, once there is one
        self._threads = ThreadPoolExecutor(lanes + ahead, thread_name_prefix="speech-batch")

    def transcribe(self, chunks: Iterable[Chunk], task: Task) -> Iterator[Heard]:
        """See `AsrEngine.transcribe`."""
        request = _Request(task)
        waiting: list[_Work] = []
        source = iter(chunks)
        with self._lock:
            self._turns.append(request)
        try:
            more = True
            while more or waiting:
                while more and self._wants(waiting):
                    chunk = next(source, None)
                    if chunk is None:
                        more = False
                        break
                    waiting.append(self._put(request, chunk))
                if waiting:
                    yield waiting.pop(0).answer.result()
        finally:
            with self._lock:
                self._turns.remove(request)
                request.waiting.clear()

    def refuse(self, error: ApiError | None = None) -> None:
        """Take no more, and give up what waits: with `error`, or 503 `service_stopping`. The first refusal stays."""
        with self._lock:
            refusal = self._refusal = self._refusal or error or _closed()
            waiting = [work for request in self._turns for work in request.waiting]
            for request in self._turns:
                request.waiting.clear()
        for work in waiting:
            work.answer.set_exception(refusal)

    def close(self) -> None:
        """`refuse`, then wait until what is being decoded has ended."""
        self.refuse()
        self._threads.shutdown(wait=True)

    def _wants(self, waiting: Sequence[_Work]) -> bool:
        """Whether a recording with these chunks on their way should read one more."""
        if len(waiting) <= self._lanes + 1:
            return True
        held = sum(work.chunk.seconds for work in waiting)
        return held < min(3 * self._seconds, max(AHEAD_SECONDS, self._seconds))

    def _put(self, request: _Request, chunk: Chunk) -> _Work:
        work = _Work(chunk)
        with self._lock:
            if self._refusal is not None:
                raise self._refusal
            request.waiting.append(work)
            self._start()
        return work

    def _start(self) -> None:
        """Give the free lanes something to do. The lock is held."""
        while self._refusal is None and self._running < self._room():
            found = self._take()
            if found is None:
                return
            self._running += 1
            self._threads.submit(self._run, *found)

    def _room(self) -> int:
        quick = self._ahead and self._took is not None and self._took < _QUICK_BATCH
        return self._lanes + quick

    def _take(self) -> tuple[_Batch, Task] | None:
        """The next batch; who gave to it goes behind those who did not. The lock is held."""
        ready = [request for request in self._turns if request.waiting]
        if not ready:
            return None
        new = None if self._passed else next((request for request in ready if not request.served), None)
        first = new or ready[0]
        self._passed = first is not ready[0]
        sharing = [request for request in ready if request.task == first.task and request is not first]
        anchor = first.waiting.pop(0)
        batch, longest = [anchor], anchor.chunk.seconds
        given = [first]
        turn = [*sharing, first]
        while turn and len(batch) < self._count:
            request = turn.pop(0)
            fits = [
                work for work in request.waiting if max(longest, work.chunk.seconds) * (len(batch) + 1) <= self._seconds
            ]
            if not fits:
                continue
            work = min(fits, key=lambda one: abs(one.chunk.seconds - anchor.chunk.seconds))
            request.waiting.remove(work)
            batch.append(work)
            longest = max(longest, work.chunk.seconds)
            if request not in given:
                given.append(request)
            turn.append(request)
        for request in given:
            request.served = True
        self._turns = [request for request in self._turns if request not in given] + given
        return batch, first.task

    def _run(self, batch: _Batch, task: Task) -> None:
        started = time.monotonic()
        try:
            self._answer(batch, task)
        finally:
            with self._lock:
                self._took = time.monotonic() - started
                self._running -= 1
                self._start()

    def _answer(self, batch: _Batch, task: Task) -> None:
        """Decode a batch; one that memory is too small for is decoded by halves, and the next ones are smaller."""
        try:
            found = self._decode([work.chunk for work in batch], task)
        except BaseException as error:  # noqa: BLE001  it belongs to those who wait
            if isinstance(error, ApiError) and error.code == "out_of_memory" and len(batch) > 1:
                with self._lock:
                    self._seconds = min(self._seconds, sum(work.chunk.seconds for work in batch) / 2)
                middle = len(batch) // 2
                self._answer(batch[:middle], task)
                self._answer(batch[middle:], task)
                return
            for work in batch:
                work.answer.set_exception(error)
            return
        for work, heard in zip(batch, found, strict=True):
            work.answer.set_result(heard)


def _closed() -> ApiError:
    return ApiError(503, "service_stopping", _("Le modèle est en train d'être déchargé."), headers={"Retry-After": "3"})
