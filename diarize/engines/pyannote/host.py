"""``python -m diarize.engines.pyannote.host FD``: one pipeline in a process of its own."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, Protocol

from common.process.host import Emit, Host
from common.web import logs
from diarize.engines.pyannote.spec import Facts, Job, Recording, Said, Spec, Step


class Model(Protocol):
    """What is hosted (`PyannoteModel`)."""

    facts: Facts

    def diarize(self, job: Job, tell: Callable[[Step], None]) -> Said: ...

    def embed(self, recording: Recording) -> bytes | None: ...

    def close(self) -> None: ...


class CancelledError(Exception):
    """Nobody waits for the result any more."""


class HostedPipeline:
    """The model's methods by name. Each recording has a thread; the model lets them compute in turn."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.facts = model.facts
        self.calls: dict[str, Callable[..., Any]] = {"embed": model.embed}
        self.streams: dict[str, Callable[..., Callable[[], None]]] = {"diarize": self.diarize}
        self.close = model.close

    def diarize(self, job: Job, emit: Emit) -> Callable[[], None]:
        """Work on a recording; gives what stops it, at the next batch. The last thing emitted is what was found."""
        stopped = threading.Event()

        def tell(step: Step) -> None:
            if stopped.is_set():
                raise CancelledError
            emit(step)

        def work() -> None:
            try:
                emit(self._model.diarize(job, tell))
            except CancelledError:
                pass
            except Exception as error:  # noqa: BLE001  it belongs to the caller, on the other side
                emit(error)

        threading.Thread(target=work, name="diarize", daemon=True).start()
        return stopped.set


def _open(spec: Spec) -> HostedPipeline:
    logs.configure("diarize", spec.log_level, spec.log_dir)
    # A hundred lines of traceback on a way of reading files that is never taken: `common.audio` decodes.
    warnings.filterwarnings("ignore", message=r"\s*torchcodec is not installed")
    from diarize.engines.pyannote.model import PyannoteModel

    return HostedPipeline(PyannoteModel(spec))


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"  # whatever the pipeline needs is in its folders
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # else pyannote tells its makers of every use
    Host(int(sys.argv[1])).run(_open)
