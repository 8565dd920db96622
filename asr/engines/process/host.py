"""``python -m asr.engines.process.host FD``: one speech model in a process of its own."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from asr.engines.base import Task
from asr.engines.process.classes import model_class
from asr.engines.process.spec import Facts, Said, Spec, SpeechModel, Utterance
from common.errors import ApiError
from common.machine.heap import give_memory_back
from common.messages import _
from common.process.host import Host
from common.web import logs


class HostedModel:
    """The model's methods by name. Sound comes first (`hold`), so that a batch is at hand when the one before ends."""

    def __init__(self, model: SpeechModel) -> None:
        self._model = model
        self._held: dict[int, list[Utterance]] = {}
        self._turn = threading.Lock()
        self.facts: Facts = model.facts
        self.calls: dict[str, Callable[..., Any]] = {"hold": self.hold, "transcribe": self.transcribe}
        self.streams: dict[str, Callable[..., Callable[[], None]]] = {}
        self.close = model.close

    def hold(self, number: int, pcm: list[bytes]) -> None:
        """Keep a batch until `transcribe` asks for it."""
        self._held[number] = [Utterance(one) for one in pcm]

    def transcribe(self, number: int, task: Task) -> list[Said]:
        """What each utterance of a batch says. Raises what the model raises, and 500 when it loses count."""
        batch = self._held.pop(number)
        with self._turn:
            said = self._model.transcribe(batch, task)
        give_memory_back()  # every batch has a length of its own, and leaves holes of its own
        if len(said) != len(batch):
            message = _(
                "Le moteur a rendu %(given)s résultats pour %(asked)s passages.", given=len(said), asked=len(batch)
            )
            raise ApiError(500, "engine_failed", message)
        return said


def _open(spec: Spec) -> HostedModel:
    logs.configure("asr", spec.log_level, spec.log_dir)
    return HostedModel(model_class(spec.engine)(spec.path, spec.opening))


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"  # whatever a model needs is in its folder
    Host(int(sys.argv[1])).run(_open)
