"""A generation as an iterator of deltas, for tests of engines (the service hears all of a request's on one queue)."""

from __future__ import annotations

import queue
from collections.abc import Iterator

from gpt.engines.base import Delta, GenerationRequest, LanguageEngine, Usage


class Generation:
    """Queues `request` on `engine` and reads what comes. Raises what the engine refuses the request with."""

    def __init__(self, engine: LanguageEngine, request: GenerationRequest) -> None:
        self._out: queue.SimpleQueue[Delta | Exception] = queue.SimpleQueue()
        self._prompt_tokens = len(request.prompt.ids)
        self._cancel = engine.submit(request, self._out.put)

    def __iter__(self) -> Iterator[Delta]:
        while True:
            item = self._out.get()
            if isinstance(item, Exception):
                raise item
            yield item
            if item.finish_reason is not None:
                return

    def close(self) -> None:
        """The reader has left: nothing more is computed for it."""
        self._cancel()
        last = Delta(finish_reason="stop", usage=Usage(self._prompt_tokens, 0))
        self._out.put(last)  # wakes a reader in another thread
