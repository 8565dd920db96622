"""Many readers, one CTranslate2 model.

CTranslate2 decodes fixed batches. So a batch is made of those who wait, runs for a while, and when others came
meanwhile it is stopped and made anew with them: everybody's text so far is read again (cheap beside writing it), and
nobody waits for a whole answer. Two batches may run beside each other: a newcomer starts at once when one place is
free, and who cannot share a batch (another temperature, a much longer text) does not have to wait for its end.

In one batch rows of unequal length cost: CTranslate2 reads at once only as many tokens as the shortest row has, and
one at a time the rest. Rows therefore share a batch only when their lengths are near.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import threading
import time
from collections import deque
from typing import Any

from common.errors import ApiError
from common.messages import _
from gpt.engines.ctranslate2.answer import Answer, is_greedy

MAX_RUNNING = 16
MAX_WAITING = 128
PLACES = 2  # batches beside each other
_NEAR = 64  # tokens by which rows of one batch may differ
_QUANTUM = 16  # tokens that every row of a batch gets before it is stopped for others
_READING = 9  # how many tokens are read in the time that one is written, or so: longer texts are stopped less often
_COMPANY_S = 0.004  # a new answer waits that long for others that come with it, to share their batch
_LOGITS_BYTES = 16 * 2**20  # CTranslate2 keeps the logits of every step of a run: runs are cut there
_log = logging.getLogger("frigo.gpt")


class Scheduler:
    """Runs answers on `generator`. `cache_tokens` bounds what the running rows may hold together."""

    def __init__(self, generator: Any, vocabulary: int, cache_tokens: int) -> None:
        self._generator = generator
        self._vocabulary = vocabulary
        self._cache_tokens = cache_tokens
        self._waiting: deque[Answer] = deque()  # in the order of their turns
        self._running: list[Answer] = []
        self._change = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"gpt-decode-{i}", daemon=True) for i in range(PLACES)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, answer: Answer) -> None:
        """Queue `answer`. Raises 503 when too many already wait, or when the model is being unloaded."""
        with self._change:
            if self._closed:
                raise _unloaded()
            if sum(not other.done and not other.started for other in self._waiting) >= MAX_WAITING:
                message = _("Trop de demandes en attente (%(limit)s).", limit=MAX_WAITING)
                raise ApiError(503, "queue_full", message, headers={"Retry-After": "5"})
            self._waiting.append(answer)
            self._change.notify()

    @property
    def load(self) -> tuple[int, int]:
        """How many answers are running, and how many wait."""
        with self._change:
            known = [answer for answer in (*self._running, *self._waiting) if not answer.done]
            started = sum(answer.started for answer in known)
            return started, len(known) - started

    def close(self) -> None:
        """Stop the threads; what is still running ends with an error."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for thread in self._threads:
            if threading.current_thread() is not thread:
                thread.join(timeout=30)
        with self._change:
            left = [answer for answer in (*self._running, *self._waiting) if not answer.done]
            self._running, self._waiting = [], deque()
            self._generator = None
        for answer in left:
            answer.fail(_unloaded())

    def _serve(self) -> None:
        while batch := self._next():
            try:
                self._run(batch)
            except Exception as error:  # noqa: BLE001  it belongs to these answers' readers, not to the others
                _log.error("generation failed", exc_info=error)
                for answer in batch:
                    if not answer.done:
                        answer.fail(error)
            with self._change:
                self._running = [answer for answer in self._running if answer not in batch]
                self._waiting.extend(answer for answer in batch if not answer.done)
                idle = not self._running and not self._waiting
                self._change.notify_all()
            if idle:
                give_memory_back()

    def _next(self) -> list[Answer]:
        """The next batch, waiting for one; nothing once closed."""
        with self._change:
            while True:
                self._waiting = deque(answer for answer in self._waiting if not answer.done)
                if self._closed:
                    return []
                if self._waiting and (batch := self._batch()):
                    late = min(answer.came for answer in batch) + _COMPANY_S - time.monotonic()
                    if late > 0 and not any(answer.started for answer in batch):
                        self._change.wait(late)
                        continue
                    self._running += batch
                    for answer in batch:
                        self._waiting.remove(answer)
                        answer.started = True
                    return batch
                self._change.wait()

    def _batch(self) -> list[Answer]:
        """Who runs next: the one whose turn it is, and those waiting who can share its batch. Nobody while the
        running ones leave no memory."""
        free = self._cache_tokens - sum(map(_held, self._running))
        places = MAX_RUNNING - len(self._running)
        first = self._waiting[0]
        if places <= 0 or (_held(first) > free and self._running):
            return []
        batch: list[Answer] = []
        for answer in self._waiting:
            if len(batch) < places and (not batch or _share(batch, answer)) and (not batch or _held(answer) <= free):
                batch.append(answer)
                free -= _held(answer)
        return batch

    def _run(self, batch: list[Answer]) -> None:
        for answer in batch:
            if len(answer.ids) == len(answer.request.prompt.ids):
                answer.begin()
        batch = [answer for answer in batch if not answer.done]
        if not batch:
            return
        if batch[0].draws_itself:
            self._run_drawing(batch[0])
        else:
            _SharedRun(self, batch).run(self._generator)

    def turn_is_over(self, batch: list[Answer], since: dict[int, int]) -> bool:
        """True when others wait and every row of `batch` that still runs has had its share since it started."""
        if self._closed:
            return True
        if not self._waiting or not any(not answer.done for answer in tuple(self._waiting)):
            return False
        rows = [answer for answer in batch if not answer.done]
        share = max(_QUANTUM, sum(len(answer.ids) for answer in rows) // _READING)
        return all(len(answer.ids) - since[id(answer)] >= min(share, 128) for answer in rows)

    def _run_drawing(self, answer: Answer) -> None:
        """One answer whose tokens are chosen here, from the logits.

        CTranslate2 writes on from its cache, and gives the logits of every step. As long as its token is the one
        chosen here it goes on; when not, it is stopped and reads the text again with the token that was chosen. The
        choice is made from the logits that a mask inside the decoder would have seen: what comes out is the same.

        Measured on frigo-mini, whose diagrams are drawn under a grammar: it is stopped 0.8 times a diagram (the model
        was trained on the form), and a diagram takes a quarter of the time that it takes with transformers. A decoder
        of our own beside CTranslate2 (`forward_batch` without a cache, or onnxruntime) would not pay.
        """
        steps = max(1, _LOGITS_BYTES // (4 * self._vocabulary))
        import numpy as np  # here: who samples with CTranslate2 does without its 14 MB

        since = {id(answer): len(answer.ids)}
        options = {} if answer.request.seed is not None else _sampling_options(answer)

        def step(result: Any) -> bool:
            if answer.done:
                return True
            if answer.forced:
                if answer.forced[0] == result.token_id:
                    answer.forced.popleft()
                    return False
                return True
            logits = np.array(result.logits, dtype=np.float32).reshape(-1)
            chosen = answer.feed(logits, result.token_id)
            return answer.done or chosen != result.token_id or self.turn_is_over([answer], since)

        while not answer.done and not self.turn_is_over([answer], since):
            answer.forced.clear()
            generate(self._generator, [answer], steps, _guarded(step, answer), return_logits_vocab=True, **options)
        answer.forced.clear()


class _SharedRun:
    """A batch whose tokens CTranslate2 samples itself."""

    def __init__(self, scheduler: Scheduler, batch: list[Answer]) -> None:
        self._scheduler = scheduler
        self._batch = batch
        self._since = {id(answer): len(answer.ids) for answer in batch}
        self._step = -1
        self._over = False

    def run(self, generator: Any) -> None:
        steps = max(answer.room for answer in self._batch)
        generate(generator, self._batch, steps, self._on_token, **_sampling_options(self._batch[0]))

    def _on_token(self, result: Any) -> bool:
        answer = self._batch[result.batch_id]
        if result.step != self._step:  # the rows stop together, so decide once a step
            self._step = result.step
            self._over = self._scheduler.turn_is_over(self._batch, self._since)
        return bool(_guarded(self._take, answer)(result)) or self._over

    def _take(self, result: Any) -> bool:
        answer: Answer = self._batch[result.batch_id]
        if not answer.done:
            answer.take(result.token_id)
        return answer.done


def give_memory_back() -> None:
    """Hand what was freed back to the machine (glibc keeps the caches of past generations otherwise)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)


def generate(generator: Any, batch: list[Answer], steps: int, callback: Any, **options: Any) -> None:
    """One run of CTranslate2 over what `batch` has read and written so far."""
    generator.generate_batch(
        [[str(i) for i in answer.ids] for answer in batch],
        max_length=steps,
        end_token=[],  # the answers know themselves where they end
        include_prompt_in_result=False,
        callback=callback,
        **options,
    )


def _guarded(step: Any, answer: Answer) -> Any:
    """`step`, whose failure ends `answer` and no other row."""

    def guarded(result: Any) -> bool:
        try:
            return bool(step(result))
        except Exception as error:  # noqa: BLE001  it belongs to this answer's reader
            if not isinstance(error, ApiError):
                _log.error("generation failed", exc_info=error)
            answer.fail(error)
            return True

    return guarded


def _share(batch: list[Answer], other: Answer) -> bool:
    """True when `other` may run in the same batch: sampled alike, and of about the same length."""
    first = batch[0]
    if first.draws_itself or other.draws_itself or _sampling(first) != _sampling(other):
        return False
    lengths = [len(answer.ids) for answer in (*batch, other)]
    near = 0 if min(lengths) == 1 else _NEAR  # beside a row of one token, CTranslate2 gives out the others' prompts
    return max(lengths) - min(lengths) <= near


def _sampling_options(answer: Answer) -> dict[str, Any]:
    """CTranslate2's names for how `answer` is sampled."""
    request = answer.request
    if is_greedy(request):
        return {}
    return {
        "sampling_topk": request.top_k,
        "sampling_topp": max(request.top_p, 1e-6),
        "sampling_temperature": request.temperature,
    }


def _sampling(answer: Answer) -> tuple[float, float, int] | None:
    request = answer.request
    return None if is_greedy(request) else (request.temperature, request.top_p, request.top_k)


def _held(answer: Answer) -> int:
    """Tokens of the cache that the answer may come to take."""
    return len(answer.ids) + max(0, answer.room)


def _unloaded() -> ApiError:
    return ApiError(503, "model_not_ready", _("Le modèle vient d'être déchargé."), headers={"Retry-After": "2"})
