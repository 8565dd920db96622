"""Voice activity: Silero VAD run by onnxruntime alone (the wheel is installed without its dependencies, so no torch).

One probability of speech every 32 ms, computed from blocks of any size in constant memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from common.audio.decode import FloatArray
from common.onnx import onnx_session

FRAME = 512  # samples at 16 kHz: 32 ms
FRAME_SECONDS = FRAME / 16_000
_CONTEXT = 64
_BLOCK_FRAMES = 256


@dataclass(frozen=True)
class Span:
    """A stretch of time, in seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


def model_file() -> Path:
    """The sequence export of Silero VAD inside the installed `silero-vad` wheel (never imported: it wants torch).

    Raises FileNotFoundError when the wheel is not installed.
    """
    spec = find_spec("silero_vad")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / "silero_vad_16k_sequence.onnx"
        if path.is_file():
            return path
    raise FileNotFoundError("silero-vad (pip install --no-deps silero-vad)")


@cache
def _session() -> Any:
    return onnx_session(model_file())


class SpeechDetector:
    """Feed 16 kHz blocks with `push`; each call returns the probabilities of the frames completed so far."""

    def __init__(self) -> None:
        self._run = _session().run
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._rest = np.zeros(0, np.float32)

    def push(self, block: FloatArray) -> FloatArray:
        samples = np.concatenate((self._rest, block)) if self._rest.size else block
        count = samples.size // FRAME
        self._rest = samples[count * FRAME :].copy()
        if not count:
            return np.zeros(0, np.float32)
        frames = samples[: count * FRAME].reshape(count, FRAME)
        return np.concatenate([self._frames(frames[i : i + _BLOCK_FRAMES]) for i in range(0, count, _BLOCK_FRAMES)])

    def finish(self) -> FloatArray:
        """The probability of the last, incomplete frame, if there is one."""
        if not self._rest.size:
            return np.zeros(0, np.float32)
        return self.push(np.zeros(FRAME - self._rest.size, np.float32))

    def _frames(self, frames: FloatArray) -> FloatArray:
        contexts = np.concatenate((self._context[None], frames[:-1, -_CONTEXT:]))
        self._context = frames[-1, -_CONTEXT:].copy()
        feed = {"input": np.concatenate((contexts, frames), axis=1), "h": self._h, "c": self._c}
        probabilities, self._h, self._c = self._run(None, feed)
        return np.asarray(probabilities, np.float32).reshape(-1)


class TwoWayDetector:
    """Forward probabilities, and those heard backwards: the detector is slow to believe in speech after a long noise
    or a silence, and the end of a quiet sentence is the beginning of the reversed one.

    The reversed sound is worked on by stretches of 30 s, each with the 4 s that follow it, so answers come late.
    """

    _STRETCH = 938  # frames: 30 s
    _AHEAD = 125

    def __init__(self) -> None:
        self._detector = SpeechDetector()
        self._forward = np.zeros(0, np.float32)
        self._samples = np.zeros(0, np.float32)

    def push(self, block: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Probabilities of the frames that are settled: (forward, backward), as many of the one as of the other."""
        self._samples = np.concatenate((self._samples, block))
        self._forward = np.concatenate((self._forward, self._detector.push(block)))
        parts = [(np.zeros(0, np.float32), np.zeros(0, np.float32))]
        while self._samples.size >= (self._STRETCH + self._AHEAD) * FRAME:
            parts.append(self._take(self._STRETCH, self._STRETCH + self._AHEAD))
        forward, backward = zip(*parts, strict=True)
        return np.concatenate(forward), np.concatenate(backward)

    def finish(self) -> tuple[FloatArray, FloatArray]:
        """The frames that remain, the last of them completed with silence."""
        self._forward = np.concatenate((self._forward, self._detector.finish()))
        count = self._forward.size
        self._samples = np.pad(self._samples, (0, count * FRAME - self._samples.size))
        return self._take(count, count)

    def _take(self, count: int, heard: int) -> tuple[FloatArray, FloatArray]:
        backward = SpeechDetector().push(self._samples[: heard * FRAME][::-1])[::-1][:count]
        forward = self._forward[:count]
        self._forward, self._samples = self._forward[count:], self._samples[count * FRAME :].copy()
        return forward, backward


def speech_probabilities(blocks: Iterable[FloatArray]) -> FloatArray:
    """Probability of speech of every 32 ms frame of the recording."""
    detector = SpeechDetector()
    parts = [detector.push(block) for block in blocks]
    return np.concatenate([*parts, detector.finish()]) if parts else np.zeros(0, np.float32)


def speech_spans(
    probabilities: Iterable[float],
    *,
    threshold: float = 0.5,
    release: float | None = None,
    min_speech: float = 0.2,
    min_silence: float = 0.2,
    pad: float = 0.05,
    duration: float | None = None,
) -> list[Span]:
    """Speech by hysteresis: it begins at `threshold` and lasts until `min_silence` seconds below `release`."""
    floor = threshold - 0.15 if release is None else release
    spans: list[Span] = []
    start: int | None = None
    quiet: int | None = None
    index = -1
    for index, p in enumerate(probabilities):
        if start is None:
            if p >= threshold:
                start, quiet = index, None
        elif p >= floor:
            quiet = None
        else:
            quiet = index if quiet is None else quiet
            if (index + 1 - quiet) * FRAME_SECONDS >= min_silence:
                spans.append(Span(start * FRAME_SECONDS, quiet * FRAME_SECONDS))
                start = None
    if start is not None:
        spans.append(Span(start * FRAME_SECONDS, (quiet if quiet is not None else index + 1) * FRAME_SECONDS))
    end = (index + 1) * FRAME_SECONDS if duration is None else duration
    kept = [span for span in spans if span.seconds >= min_speech]
    return list(_padded(kept, pad, end))


def _padded(spans: list[Span], pad: float, end: float) -> Iterator[Span]:
    last: Span | None = None
    for span in spans:
        wide = Span(max(0.0, span.start - pad), min(end, span.end + pad))
        if last is not None and wide.start <= last.end:
            last = Span(last.start, wide.end)
            continue
        if last is not None:
            yield last
        last = wide
    if last is not None:
        yield last
