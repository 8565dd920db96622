"""Cut a recording into chunks of speech of a bounded length, in silence wherever there is one.

Works as the sound comes, with the memory of one chunk, whatever the length of the recording. Stretches of speech that
short pauses separate go together, as far as the model takes: it reads a whole sentence better than its pieces. The cuts
depend on the sound alone: the same recording is cut again in the same places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from asr.engines.base import Chunk
from common.audio.decode import SPEECH_RATE, FloatArray
from common.audio.vad import FRAME, FRAME_SECONDS, SpeechDetector

THRESHOLD = 0.35
JOIN = 1 / 20
"""A silence of this share of what the model takes ends a chunk (1 s for one that takes 20; never less than 0.6 s).

PocketSphinx makes 23 % of errors on jfk with 1 s, 41 % with 1.5 s.
"""
OVERLAP = 2.0
"""Seconds that two chunks share where the speaker left no pause to cut in."""
_FALL = 0.15  # below the threshold by so much, speech is over
_QUIET = 0.6  # seconds below it before it takes the whole threshold to begin again
_BRIDGE = 0.2  # shorter silences are part of speech
_MIN_PAUSE = 0.3  # where one may cut
_MIN_SPEECH = 0.1
_PAD = 0.25


def speech_chunks(
    blocks: Iterable[FloatArray], *, max_seconds: float, threshold: float | None = None
) -> Iterator[Chunk]:
    """Chunks of speech with a little silence around them, never longer than `max_seconds` (5 at least).

    `blocks`: mono float32 at 16 kHz, of any size. `threshold`: probability from which a sound is speech (default 0.35).
    A speaker who does not pause is cut around the least voiced instant of the last third, and the two chunks overlap.
    """
    cutter = _Cutter(max_seconds, THRESHOLD if threshold is None else threshold)
    detector = SpeechDetector()
    for block in blocks:
        yield from cutter.push(block, detector.push(block))
    yield from cutter.push(np.zeros(0, np.float32), detector.finish())
    yield from cutter.finish()


@dataclass
class _Span:
    """Voiced frames, `end` excluded."""

    start: int
    end: int


class _Cutter:
    """Frames are counted from the recording's beginning; `_origin` is the sample at which the buffer begins."""

    def __init__(self, max_seconds: float, threshold: float) -> None:
        self._threshold = threshold
        self._release = max(threshold - _FALL, threshold / 2)
        self._join_frames = _frames(max(_QUIET, JOIN * max_seconds))
        self._max_frames = int((max_seconds - 2 * _PAD) / FRAME_SECONDS)
        self._buffer = np.zeros(0, np.float32)
        self._origin = 0
        self._frame = 0
        self._given = 0  # samples before this one are in chunks, or were left out for good
        self._overlap = 0  # samples that the open chunk shares with the one before
        self._start = 0  # first frame of the open chunk
        self._probabilities: list[float] = []  # of its frames; none: no chunk is open
        self._spans: list[_Span] = []

    def push(self, block: FloatArray, probabilities: FloatArray) -> Iterator[Chunk]:
        self._buffer = np.concatenate((self._buffer, block))
        for probability in probabilities:
            yield from self._step(float(probability))
            self._frame += 1
        self._forget()

    def finish(self) -> Iterator[Chunk]:
        if self._probabilities:
            yield from self._close()

    def _step(self, probability: float) -> Iterator[Chunk]:
        if not self._probabilities:
            if probability < self._threshold:
                return
            self._start, self._overlap = self._frame, 0
        self._probabilities.append(probability)
        self._hear(probability)
        if self._frame + 1 - self._end() >= self._join_frames:
            yield from self._close()
        elif len(self._probabilities) >= self._max_frames:
            yield from self._cut()

    def _hear(self, probability: float) -> None:
        """Note the frame in the voiced spans, if it is."""
        silence = self._frame - self._end()
        resting = not self._spans or silence >= _frames(_QUIET)
        if probability < (self._threshold if resting else self._release):
            return
        if self._spans and silence <= _frames(_BRIDGE):
            self._spans[-1].end = self._frame + 1
        else:
            self._spans.append(_Span(self._frame, self._frame + 1))

    def _end(self) -> int:
        """The frame after the last voiced one."""
        return self._spans[-1].end if self._spans else self._start

    def _close(self) -> Iterator[Chunk]:
        """The chunk ends with its speech: silence came."""
        yield from self._chunk(self._spans, self._sample(self._end()) + _samples(_PAD))
        self._probabilities, self._spans = [], []

    def _cut(self) -> Iterator[Chunk]:
        """The chunk is as long as it may be: end it in its best pause, or else in the midst of speech."""
        pause = self._pause()
        if pause is None:
            yield from self._cut_speech()
            return
        before = [span for span in self._spans if span.end <= pause.start]
        middle = self._sample(pause.start + pause.end) // 2
        yield from self._chunk(before, min(self._sample(pause.start) + _samples(_PAD), middle))
        self._given = max(self._given, middle)
        after = [span for span in self._spans if span.start >= pause.end]
        self._go_on(after, after[0].start if after else self._frame + 1, 0)

    def _pause(self) -> _Span | None:
        """Of the chunk's second half: the last real silence, or the longest pause. Else the last pause; None: none."""
        ends = [span.end for span in self._spans]
        starts = [*(span.start for span in self._spans[1:]), self._frame + 1]
        pauses = [_Span(end, start) for end, start in zip(ends, starts, strict=True)]
        pauses = [pause for pause in pauses if pause.end - pause.start >= _frames(_MIN_PAUSE)]
        half = self._start + len(self._probabilities) // 2
        late = [pause for pause in pauses if pause.start >= half]
        if late:
            return max(late, key=lambda pause: (min(pause.end - pause.start, _frames(_QUIET)), pause.start))
        return pauses[-1] if pauses else None

    def _cut_speech(self) -> Iterator[Chunk]:
        half = _frames(OVERLAP) // 2
        count = len(self._probabilities)
        third = count * 2 // 3
        least = self._start + third + int(np.argmin(self._probabilities[third : count - half]))
        first, last = least - half, least + half
        yield from self._chunk(
            [_Span(span.start, min(span.end, last)) for span in self._spans if span.start < last], self._sample(last)
        )
        self._given = self._sample(first)
        spans = [_Span(max(span.start, first), span.end) for span in self._spans if span.end > first]
        self._go_on(spans, first, self._sample(last - first))

    def _go_on(self, spans: list[_Span], start: int, overlap: int) -> None:
        """Begin the next chunk with what is left of this one, from the frame `start`."""
        self._probabilities = self._probabilities[start - self._start :]
        self._spans, self._start, self._overlap = spans, start, overlap

    def _chunk(self, spans: list[_Span], last: int) -> Iterator[Chunk]:
        """Give the samples from the open chunk's beginning up to `last`, unless hardly any of it is voiced."""
        first = max(self._given, self._sample(self._start) - (0 if self._overlap else _samples(_PAD)))
        samples = self._buffer[first - self._origin : last - self._origin].copy()
        self._given = first + samples.size
        voiced = sum(
            self._probabilities[f - self._start] >= self._release for s in spans for f in range(s.start, s.end)
        )
        if voiced * FRAME_SECONDS >= _MIN_SPEECH and samples.size:
            end = self._given / SPEECH_RATE
            heard = tuple((s.start * FRAME_SECONDS, min(s.end * FRAME_SECONDS, end)) for s in spans)
            yield Chunk(first / SPEECH_RATE, samples, heard, self._overlap / SPEECH_RATE)

    @staticmethod
    def _sample(frame: int) -> int:
        return frame * FRAME

    def _forget(self) -> None:
        """Drop the samples that no chunk can need any more."""
        needed = self._sample(self._start if self._probabilities else self._frame) - _samples(_PAD)
        drop = min(self._buffer.size, max(0, needed - self._origin))
        if drop:
            self._buffer = self._buffer[drop:].copy()
            self._origin += drop


def _frames(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)


def _samples(seconds: float) -> int:
    return round(seconds * SPEECH_RATE)
