"""The steps of a transcription, for as long as somebody waits for them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

from asr.service import Done
from asr.transcription.transcript import Partial
from common.audio.progress import Progress
from common.errors import client_left

Step = Progress | Partial | Done
Steps = Generator[Step, None, None]


def attended(steps: Steps, gone: Callable[[], bool]) -> Steps:
    """The same steps; the work ends at the next one once the client has left. Raises ApiError 499 then."""
    with closing(steps):
        for step in steps:
            if gone():
                raise client_left()
            yield step


def finished(steps: Steps, gone: Callable[[], bool]) -> Done:
    """Do the whole work and give the result."""
    for step in attended(steps, gone):
        if isinstance(step, Done):
            return step
    raise AssertionError("a transcription ends with its transcript or with an error")
