"""Cut a recording into stretches of speech of a bounded length, in silence wherever there is one.

Works as the sound comes, with the memory of one stretch, whatever the length of the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from asr.engines.base import Chunk
from common.audio.decode import SPEECH_RATE, FloatArray
from common.audio.vad import FRAME, FRAME_SECONDS, SpeechDetector

THRESHOLD = 0.35
_RELEASE = 0.2
_MIN_SILENCE = 0.6
_MIN_SPEECH = 0.1
_PAD = 0.25


def speech_chunks(blocks: Iterable[FloatArray], *, max_seconds: float, threshold: float = THRESHOLD) -> Iterator[Chunk]:
    """Stretches of speech with a little silence around them, never longer than `max_seconds`.

    A speaker who does not pause is cut at the least voiced instant of the last third.
    """
    cutter = _Cutter(max_seconds, threshold)
    detector = SpeechDetector()
    for block in blocks:
        yield from cutter.push(block, detector.push(block))
    yield from cutter.push(np.zeros(0, np.float32), detector.finish())
    yield from cutter.finish()


class _Cutter:
    """Frames are counted from the recording's beginning; `_origin` is the sample at which the buffer begins."""

    def __init__(self, max_seconds: float, threshold: float) -> None:
        self._threshold = threshold
        self._release = min(_RELEASE, threshold)
        self._quiet_frames = round(_MIN_SILENCE / FRAME_SECONDS)
        self._pad = round(_PAD * SPEECH_RATE)
        self._max_frames = int((max_seconds - 2 * _PAD) / FRAME_SECONDS)
        self._buffer = np.zeros(0, np.float32)
        self._origin = 0
        self._frame = 0
        self._start: int | None = None
        self._last_voiced = 0
        self._voiced = 0
        self._cut_before = False  # the stretch goes on from a cut: no padding into what was given already
        self._probabilities: list[float] = []

    def push(self, block: FloatArray, probabilities: FloatArray) -> Iterator[Chunk]:
        self._buffer = np.concatenate((self._buffer, block))
        for probability in probabilities:
            yield from self._step(float(probability))
            self._frame += 1
        self._forget()

    def finish(self) -> Iterator[Chunk]:
        if self._start is not None:
            yield from self._close(self._last_voiced + 1, cut=False)

    def _step(self, probability: float) -> Iterator[Chunk]:
        if self._start is None:
            if probability < self._threshold:
                return
            self._start, self._voiced, self._probabilities = self._frame, 0, []
        self._probabilities.append(probability)
        if probability >= self._release:
            self._last_voiced = self._frame
            self._voiced += 1
        if self._frame - self._last_voiced >= self._quiet_frames:
            yield from self._close(self._last_voiced + 1, cut=False)
        elif len(self._probabilities) >= self._max_frames:
            third = len(self._probabilities) * 2 // 3
            least = third + int(np.argmin(self._probabilities[third:]))
            yield from self._close(self._start + least, cut=True)

    def _close(self, end: int, *, cut: bool) -> Iterator[Chunk]:
        """Give the stretch that ends before frame `end`; after a cut the rest begins the next one."""
        assert self._start is not None  # noqa: S101  only called inside a stretch
        start, length = self._start, end - self._start
        first = start * FRAME - (0 if self._cut_before else self._pad)
        last = end * FRAME + (0 if cut else self._pad)
        lower, upper = max(0, first - self._origin), max(0, last - self._origin)
        samples = self._buffer[lower:upper].copy()
        if self._voiced * FRAME_SECONDS >= _MIN_SPEECH and samples.size:
            yield Chunk(start=(self._origin + lower) / SPEECH_RATE, samples=samples)
        if cut:
            self._start, self._probabilities = end, self._probabilities[length:]
            self._voiced = sum(p >= self._release for p in self._probabilities)
        else:
            self._start = None
        self._cut_before = cut

    def _forget(self) -> None:
        """Drop the samples that no stretch can need any more."""
        keep_from = (self._frame if self._start is None else self._start) * FRAME - self._pad
        drop = min(self._buffer.size, max(0, keep_from - self._origin))
        if drop:
            self._buffer = self._buffer[drop:].copy()
            self._origin += drop
