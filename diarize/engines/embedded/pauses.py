"""Silence inside what the detector calls speech: it hears on for a while, and the next voice begins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from common.audio.decode import FloatArray
from common.audio.vad import FRAME_SECONDS

FRAME_SAMPLES = 160  # 10 ms
_SILENCES = ((10.0**-3.3, 0.5), (10.0**-1.2, 0.12))
"""Silent is what has less than this share of the mean power of the recording's speech, and less than this chance to be
speech. A room with its noise is never 33 dB lower, so that what its far voices say is kept, unless the detector is sure
that it hears nothing; a faint voice beside a loud one is sure speech, however quiet."""
_LEAST = 0.12  # seconds of silence between two spans
_KEPT = 3  # frames on each side of a silence
_SHORTEST = 0.4  # seconds; what is shorter, and near another span, is too short to tell whose it is by itself
_NEAR = 0.3


class Powers:
    """Mean square of each 10 ms of the sound, from blocks of any size."""

    def __init__(self) -> None:
        self._parts: list[FloatArray] = []
        self._rest = np.zeros(0, np.float32)

    def push(self, block: FloatArray) -> None:
        samples = np.concatenate((self._rest, block))
        count = samples.size // FRAME_SAMPLES
        frames = samples[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
        self._parts.append(np.mean(np.square(frames), axis=1, dtype=np.float32))
        self._rest = samples[count * FRAME_SAMPLES :].copy()

    def all(self) -> FloatArray:
        """Those of the complete frames so far: (frames,)."""
        return np.concatenate([np.zeros(0, np.float32), *self._parts])


def without_silence(
    spans: list[tuple[float, float]], probabilities: FloatArray, powers: FloatArray
) -> Iterator[tuple[float, float]]:
    """The spans (seconds) without the silences at their ends and inside them.

    `probabilities` of speech for each 32 ms, `powers` for each 10 ms.
    """
    if not powers.size or not probabilities.size:
        yield from spans
        return
    frames = (np.arange(powers.size) * (0.01 / FRAME_SECONDS)).astype(np.int64)
    chances = probabilities[np.minimum(frames, probabilities.size - 1)]
    level = float(np.sum(powers * chances, dtype=np.float64) / max(float(chances.sum(dtype=np.float64)), 1e-9))
    shares = np.convolve(powers, np.full(3, 1 / 3), "same") / max(level, 1e-12)
    quiet = np.any([(shares < share) & (chances < chance) for share, chance in _SILENCES], axis=0)
    found = []
    for start, end in spans:
        first, last = round(start * 100), min(round(end * 100), powers.size)
        for a, b in _spoken(quiet[first:last]):
            begins = start if a == 0 else (first + a) / 100
            ends = end if b == last - first else (first + b) / 100
            if ends > begins:
                found.append((begins, ends))
    yield from _joined(found)


def _spoken(quiet: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterator[tuple[int, int]]:
    """What lies between the silences, in frames."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], quiet, [False])).astype(np.int8))).tolist()
    begins = 0
    for silent, sound in zip(edges[::2], edges[1::2], strict=True):
        if silent > 0 and sound < quiet.size and sound - silent < _LEAST * 100:
            continue
        ends = silent if silent == 0 else silent + _KEPT
        after = sound if sound == quiet.size else sound - _KEPT
        if after > ends:
            if ends > begins:
                yield begins, ends
            begins = after
    if begins < quiet.size:
        yield begins, quiet.size


def _joined(spans: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The spans, the shortest of them joined to the nearest with the silence between."""
    last: tuple[float, float] | None = None
    for index, (start, end) in enumerate(spans):
        if last is not None:
            before = start - last[1]
            after = spans[index + 1][0] - end if index + 1 < len(spans) else np.inf
            short = end - start < _SHORTEST and before <= after
            if before <= _NEAR and (short or last[1] - last[0] < _SHORTEST):
                last = (last[0], end)
                continue
            yield last
        last = (start, end)
    if last is not None:
        yield last
