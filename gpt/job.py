"""A running answer: one generation per choice, all heard on one queue, in the order in which they come."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

from common.errors import client_left
from gpt.engines.base import Delta, GenerationRequest, LanguageEngine, TokenLogprob, Usage
from gpt.metrics import FIRST_TOKEN, TOKENS
from gpt.tools.reader import Reading

POLL_SECONDS = 0.25  # how soon a client that leaves while nothing comes (queue, long prompt) is noticed

Gone = Callable[[], bool]


class Job:
    """The generations of one request, and the lease on the model, given back by `close`.

    `kept` of every `computed` choices are answered, the likeliest (OpenAI's ``best_of``).
    """

    def __init__(self, kind: str, model: str, *, computed: int = 1, kept: int = 1) -> None:
        self.id = f"{kind}-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.model = model
        self.computed = computed
        self.kept = kept
        self.show_logprobs = False
        self.prompt_tokens = 0
        self.reading = Reading()
        self.echoes: list[str] = []  # per choice, what goes before the answer
        self.echo_logprobs: list[tuple[TokenLogprob, ...]] = []  # per choice, of what goes before
        self._stopped: set[int] = set()
        self._arrived: queue.SimpleQueue[tuple[int, Delta | Exception]] = queue.SimpleQueue()
        self._cancels: list[Callable[[], None]] = []
        self._held = ExitStack()
        self._began = time.monotonic()

    def hold(self, lease: ExitStack) -> None:
        """Keep the model in use until `close`."""
        self._held = lease

    def add(
        self,
        engine: LanguageEngine,
        request: GenerationRequest,
        echo: str = "",
        echo_logprobs: tuple[TokenLogprob, ...] = (),
    ) -> None:
        """One more choice. Raises what the engine refuses the request with."""
        self._cancels.append(engine.submit(request, partial(self._arrive, len(self._cancels))))
        self.echoes.append(echo)
        self.echo_logprobs.append(echo_logprobs)

    def stop(self, index: int) -> None:
        """A choice is long enough: nothing more is computed for it, and it ends now."""
        self._stopped.add(index)
        self._cancels[index]()

    def _arrive(self, index: int, item: Delta | Exception) -> None:
        self._arrived.put((index, item))

    def deltas(self, gone: Gone) -> Iterator[tuple[int, Delta] | None]:
        """Every choice's deltas as they come; None when nothing came for `POLL_SECONDS`.

        Raises the first error of any choice, and (to nobody) as soon as `gone` says that the client has left.
        """
        read, written = TOKENS.labels(self.model, "prompt"), TOKENS.labels(self.model, "completion")
        running = len(self._cancels)
        sampled = [0] * running
        over: set[int] = set()
        try:
            read.inc(self.prompt_tokens)
            first = True
            while running:
                try:
                    index, item = self._arrived.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    index, item = -1, None
                if gone():
                    raise client_left()
                if item is None:
                    yield None
                    continue
                if isinstance(item, Exception):
                    raise item
                if first:
                    FIRST_TOKEN.labels(self.model).observe(time.monotonic() - self._began)
                    first = False
                if index in over:
                    continue
                written.inc(len(item.token_ids))
                sampled[index] += len(item.token_ids)
                if item.finish_reason is not None:
                    running -= 1
                    over.add(index)
                yield index, item
                if index in self._stopped and index not in over:
                    running -= 1
                    over.add(index)
                    yield index, Delta(finish_reason="stop", usage=Usage(self.prompt_tokens, sampled[index]))
        finally:
            self.close()

    def close(self) -> None:
        """Stop what still runs within one token, and let the model go. May be called twice."""
        for cancel in self._cancels:
            cancel()
        self._held.close()
