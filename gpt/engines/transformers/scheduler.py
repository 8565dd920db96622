"""One thread owns the model and serves every generation in turn, a token each, so that nobody waits for a whole answer.

Long prompts are read in slices for the same reason. Continuous batching can take this thread's place without the rest
noticing. One thread also means one OpenMP pool: threads per request would each bring their own.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

import torch
from transformers import DynamicCache

from common.errors import ApiError
from common.messages import _
from gpt.engines.transformers.sequence import Sequence

PROMPT_SLICE = 512  # ids read in one step
MAX_RUNNING = 16
MAX_WAITING = 128
_log = logging.getLogger("frigo.gpt")


class Scheduler:
    """Round robin over the running sequences of one model."""

    def __init__(self, model: Any, device: torch.device, threads: int) -> None:
        self._model = model
        self._device = device
        self._threads = threads
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="gpt-decode", daemon=True)
        self._thread.start()

    def submit(self, sequence: Sequence) -> None:
        """Queue `sequence`. Raises 503 when too many already wait, or when the model is being unloaded."""
        with self._change:
            if self._closed:
                raise ApiError(
                    503, "model_not_ready", _("Le modèle vient d'être déchargé."), headers={"Retry-After": "2"}
                )
            if len(self._waiting) >= MAX_WAITING:
                message = _("Trop de demandes en attente (%(limit)s).", limit=MAX_WAITING)
                raise ApiError(503, "queue_full", message, headers={"Retry-After": "5"})
            self._waiting.append(sequence)
            self._change.notify()

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
        self._model = None

    def _serve(self) -> None:
        torch.set_num_threads(self._threads)  # counts for the thread that sets it
        with torch.inference_mode():
            while self._admit():
                for sequence in self._running:
                    self._step(sequence)
                for sequence in self._running:
                    if sequence.finished or sequence.cancelled:
                        sequence.cache = None
                self._running = [s for s in self._running if not s.finished and not s.cancelled]
        for sequence in (*self._running, *self._waiting):
            sequence.fail(
                ApiError(503, "model_not_ready", _("Le modèle vient d'être déchargé."), headers={"Retry-After": "2"})
            )
        self._running = []
        self._waiting.clear()

    def _admit(self) -> bool:
        """Take waiting sequences in; sleep while there is nothing to do. False once closed."""
        with self._change:
            while not self._closed and not self._waiting and not self._running:
                self._change.wait()
            for left in [s for s in self._waiting if s.cancelled]:
                self._waiting.remove(left)
            while not self._closed and self._waiting and len(self._running) < MAX_RUNNING:
                self._running.append(self._waiting.popleft())
            return not self._closed

    def _step(self, sequence: Sequence) -> None:
        """Advance one sequence by one prompt slice or one token."""
        if sequence.cancelled:
            return
        try:
            if sequence.cache is None:
                sequence.cache = DynamicCache(config=self._model.config)
                sequence.begin()
                if sequence.finished:
                    return
            ids, sequence.pending = sequence.pending[:PROMPT_SLICE], sequence.pending[PROMPT_SLICE:]
            logits = self._forward(ids, sequence.cache)
            if not sequence.pending:
                sequence.feed(logits)
        except Exception as error:  # noqa: BLE001  it belongs to this sequence's reader, not to the others
            if not isinstance(error, ApiError):
                _log.error("generation failed", exc_info=error)
            sequence.fail(error)

    def _forward(self, ids: list[int], cache: Any) -> torch.Tensor:
        """Logits after the last of `ids`, whose keys and values join `cache`."""
        tokens = torch.tensor([ids], dtype=torch.long, device=self._device)
        output = self._model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits: torch.Tensor = output.logits[0, -1]
        return logits
