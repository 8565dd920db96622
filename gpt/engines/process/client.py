"""A language engine that runs in a process of its own, as the service uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.process.child import Child
from common.process.engine import ChildEngine
from common.process.variables import model_variables
from gpt.engines.base import (
    Capabilities,
    Delta,
    Emit,
    GenerationRequest,
    Message,
    Prompt,
    SamplingDefaults,
    TokenLogprob,
)
from gpt.engines.options import EngineOptions
from gpt.engines.process.spec import Facts, Spec

MODULE = "gpt.engines.process.host"
READ_SECONDS = 1800.0  # for a text that fills the context of a big model on a processor
_READING = 2  # of the process's four calls at once


class ProcessEngine(ChildEngine):
    """Opens `folder` with the engine called `engine`. Raises what the engine refuses it with."""

    def __init__(
        self,
        engine: str,
        folder: Path,
        options: EngineOptions,
        *,
        log_level: str = "INFO",
        log_dir: Path | None = None,
    ) -> None:
        self._reading = threading.Semaphore(_READING)
        spec = Spec(engine, folder, options, log_level, log_dir)
        self._child = Child(
            MODULE,
            spec,
            model_variables(use_gpu=options.use_gpu, gpu_device_ids=options.gpu_device_ids, threads=options.threads),
        )
        facts: Facts = self._child.facts
        self.name = facts.name
        self.capabilities: Capabilities = facts.capabilities
        self.context = facts.context
        self.defaults: SamplingDefaults = facts.defaults
        self.quantization = facts.quantization

    @property
    def load(self) -> tuple[int, int]:
        running, waiting = self._child.call("load")
        return running, waiting

    def encode(self, text: str) -> Prompt:
        prompt: Prompt = self._child.call("encode", text)
        return prompt

    def encode_ids(self, ids: Sequence[int]) -> Prompt:
        prompt: Prompt = self._child.call("encode_ids", list(ids))
        return prompt

    def encode_infill(self, text: str, suffix: str) -> Prompt:
        prompt: Prompt = self._child.call("encode_infill", text, suffix)
        return prompt

    def encode_chat(self, messages: Sequence[Message], options: Mapping[str, Any]) -> Prompt:
        prompt: Prompt = self._child.call("encode_chat", list(messages), dict(options))
        return prompt

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._child.call("decode", list(ids)))

    def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
        """See `LanguageEngine`. A process that dies meanwhile emits a 503 `engine_died`."""
        return self._child.stream("submit", (request,), emit, last=_is_last)

    def score(self, prompt: Prompt, top: int, adapter: str | None = None) -> tuple[TokenLogprob, ...]:
        return tuple(self._read("score", prompt, top, adapter))

    def embed(self, ids: Sequence[int], adapter: str | None = None) -> list[float]:
        vector: list[float] = self._read("embed", list(ids), adapter)
        return vector

    def _read(self, *call: Any) -> Any:
        """A call as long as a text: few at once, so that generations still find a thread of the process."""
        with self._reading:
            return self._child.call(*call, seconds=READ_SECONDS)

    def load_adapter(self, key: str, folder: Path) -> None:
        self._child.call("load_adapter", key, folder)

    def unload_adapter(self, key: str) -> None:
        self._child.call("unload_adapter", key)

    def adapters(self) -> tuple[str, ...]:
        return tuple(self._child.call("adapters"))


def _is_last(item: Delta | Exception) -> bool:
    return isinstance(item, Exception) or item.finish_reason is not None
