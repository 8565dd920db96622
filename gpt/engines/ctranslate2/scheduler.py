"""Many readers, one CTranslate2 model.

CTranslate2 decodes fixed batches. So a run is made of those who wait; when others came meanwhile it is stopped after
its share and made anew with them: everybody's text so far is read again (cheap beside writing it), and nobody waits
for a whole answer. Two runs may go on beside each other: a newcomer starts at once when one place is free, and who
cannot share a batch (another temperature, a much longer text) does not have to wait for its end. Two runs that could
be one become one.

In one batch rows of unequal length cost: CTranslate2 reads at once only as many tokens as the shortest row has, and
one at a time the rest. Rows therefore share a batch only when their lengths are near.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Any

from common.machine.heap import give_memory_back
from gpt.engines.ctranslate2.answer import CTranslate2Answer
from gpt.engines.ctranslate2.runs import Run, share
from gpt.engines.queueing import MAX_WAITING, queue_full, unloaded

MAX_RUNNING = 16
PLACES = 2  # runs beside each other
_COMPANY_S = 0.004  # a new answer waits that long for others that come with it, to share their batch
_log = logging.getLogger("frigo.gpt")


class Scheduler:
    """Runs answers on `generator`. `cache_tokens` bounds what the running rows may hold together."""

    def __init__(self, generator: Any, vocabulary: int, cache_tokens: int) -> None:
        self._generator = generator
        self._vocabulary = vocabulary
        self._cache_tokens = cache_tokens
        self._waiting: deque[CTranslate2Answer] = deque()  # in the order of their turns
        self._runs: list[Run] = []
        self._change = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"gpt-decode-{i}", daemon=True) for i in range(PLACES)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, answer: CTranslate2Answer) -> None:
        """Queue `answer`. Raises 503 when too many already wait, or when the model is being unloaded."""
        with self._change:
            if self._closed:
                raise unloaded()
            if sum(not other.done and not other.started for other in self._waiting) >= MAX_WAITING:
                raise queue_full(MAX_WAITING)
            self._waiting.append(answer)
            self._change.notify()

    @property
    def load(self) -> tuple[int, int]:
        """How many answers are running, and how many wait for their first turn."""
        with self._change:
            known = [answer for answer in self._all() if not answer.done]
            started = sum(answer.started for answer in known)
            return started, len(known) - started

    @property
    def generator(self) -> Any:
        """The model. Raises 503 once it is closed."""
        if self._generator is None:
            raise unloaded()
        return self._generator

    def close(self) -> None:
        """Stop the threads; what is still running ends with an error."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for thread in self._threads:
            if threading.current_thread() is not thread:
                thread.join(timeout=30)
        with self._change:
            left = [answer for answer in self._all() if not answer.done]
            self._runs, self._waiting = [], deque()
            self._generator = None
        for answer in left:
            answer.fail(unloaded())

    def _all(self) -> list[CTranslate2Answer]:
        return [*(answer for run in self._runs for answer in run.answers), *self._waiting]

    def _serve(self) -> None:
        while run := self._next():
            try:
                run.execute(self._generator, self._vocabulary, self._turn_is_over)
            except Exception as error:  # noqa: BLE001  it belongs to these answers' readers, not to the others
                _log.error("generation failed", exc_info=error)
                for answer in run.rows:
                    answer.fail(error)
            with self._change:
                self._runs.remove(run)
                self._waiting.extend(run.rows)
                idle = not self._runs and not self._waiting
                self._change.notify_all()
            if idle:
                give_memory_back()

    def _next(self) -> Run | None:
        """The next run, waiting for one; None once closed."""
        with self._change:
            while not self._closed:
                self._waiting = deque(answer for answer in self._waiting if not answer.done)
                batch = self._batch()
                late = min((answer.came for answer in batch), default=0.0) + _COMPANY_S - time.monotonic()
                if batch and (late <= 0 or any(answer.started for answer in batch)):
                    for answer in batch:
                        self._waiting.remove(answer)
                        answer.started = True
                    run = Run(batch)
                    self._runs.append(run)
                    return run
                self._change.wait(max(late, 0.0) if batch else None)
        return None

    def _batch(self) -> list[CTranslate2Answer]:
        """Who runs next: the one whose turn it is, and those waiting who can share its batch. Nobody while the
        running ones leave no memory. Who can join a run that is about to be made anew is left to it."""
        merging = [run for run in self._runs if run.had_share]
        turns = [answer for answer in self._waiting if not any(run.takes(answer) for run in merging)]
        running = [answer for run in self._runs for answer in run.rows]
        free = self._cache_tokens - sum(map(_held, running))
        places = MAX_RUNNING - len(running)
        if not turns or places <= 0 or (running and _held(turns[0]) > free):
            return []
        batch: list[CTranslate2Answer] = []
        for answer in turns:
            if len(batch) < places and (not batch or (share(batch, answer) and _held(answer) <= free)):
                batch.append(answer)
                free -= _held(answer)
        return batch

    def _turn_is_over(self, run: Run) -> bool:
        """True when `run` has had its share, and others wait for its place, could join it, or run beside it though
        they could be one batch."""
        if self._closed:
            return True
        if not run.had_share:
            return False
        with self._change:
            waiting = [answer for answer in self._waiting if not answer.done]
            beside = [other for other in self._runs if other is not run and other.had_share]
            return (
                (bool(waiting) and len(self._runs) >= PLACES)
                or any(run.takes(answer) for answer in waiting)
                or any(other.rows and all(map(run.takes, other.rows)) for other in beside)
            )


def _held(answer: CTranslate2Answer) -> int:
    """Tokens of the cache that the answer may come to take."""
    return len(answer.ids) + max(0, answer.room)
