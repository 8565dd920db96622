"""Bring a recording to a usual level: no DC offset, no rumble, speech neither whispered nor clipped.

Everything works on blocks, so that hours of sound need no memory; measuring is a first pass over the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from common.audio.decode import SPEECH_RATE, AudioReader, FloatArray

_TAPS = 401
_CUTOFF_HZ = 80.0
_FRAME = SPEECH_RATE // 10
_SILENCE_DB = -90.0
SPEECH_DB = -20.0  # where speech is brought, in dBFS RMS of its loud frames
_MAX_GAIN_DB = 50.0
KEPT_SECONDS = 120.0
"""A recording up to this long (8 MB of samples) is decoded once: measuring it keeps it."""


def _taps() -> FloatArray:
    """A windowed-sinc high-pass, linear phase."""
    n = np.arange(_TAPS) - _TAPS // 2
    low = np.sinc(2 * _CUTOFF_HZ / SPEECH_RATE * n) * np.hamming(_TAPS)
    taps = -low / low.sum()
    taps[_TAPS // 2] += 1.0
    return np.asarray(taps, np.float32)


def highpass(blocks: Iterable[FloatArray]) -> Iterator[FloatArray]:
    """Remove what lies under 80 Hz, DC included; as many samples come out as went in, at the same times."""
    taps, half = _taps(), _TAPS // 2
    held: FloatArray | None = None
    for block in blocks:
        if not block.size:
            continue
        if held is None:  # before the start, the first value goes on: a constant offset makes no step
            held = np.full(half, block[0], np.float32)
        held = np.concatenate((held, block))
        if held.size >= _TAPS:
            yield np.convolve(held, taps, "valid").astype(np.float32)
            held = held[held.size - (_TAPS - 1) :]
    if held is not None:
        tail = np.concatenate((held, np.full(half, held[-1], np.float32)))
        if tail.size >= _TAPS:
            yield np.convolve(tail, taps, "valid").astype(np.float32)


def loud_level(blocks: Iterable[FloatArray]) -> float:
    """Level of the loud tenths of a second (their 95th percentile) in dBFS: speech, whatever the pauses and knocks."""
    levels: list[FloatArray] = []
    rest = np.zeros(0, np.float32)
    for block in blocks:
        samples = np.concatenate((rest, block))
        count = samples.size // _FRAME
        rest = samples[count * _FRAME :]
        power = np.mean(np.square(samples[: count * _FRAME].reshape(count, _FRAME)), axis=1)
        levels.append(10.0 * np.log10(power + 1e-12))
    found = np.concatenate(levels) if levels else np.zeros(0, np.float32)
    found = found[found > _SILENCE_DB]
    return float(np.percentile(found, 95)) if found.size else _SILENCE_DB


def gain_to(level: float, target: float = SPEECH_DB) -> float:
    """The factor that brings `level` (dBFS) to `target`, bounded so that silence is not blown up."""
    return 1.0 if level <= _SILENCE_DB else float(10.0 ** (min(target - level, _MAX_GAIN_DB) / 20.0))


class LevelledAudio:
    """A recording at the usual level, measured once on opening and then readable as often as one likes."""

    def __init__(self, reader: AudioReader, target: float = SPEECH_DB) -> None:
        self._reader = reader
        self._kept: list[FloatArray] | None = []
        self.level = loud_level(self._keeping(highpass(reader.blocks())))
        self.seconds = reader.seconds
        self.warnings = list(reader.warnings)
        self._gain = np.float32(gain_to(self.level, target))

    def blocks(self) -> Iterator[FloatArray]:
        """High-passed and levelled blocks of about a second."""
        for block in highpass(self._reader.blocks()) if self._kept is None else self._kept:
            yield block * self._gain

    def _keeping(self, blocks: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """The blocks as they pass, kept as long as they are few."""
        samples = 0
        for block in blocks:
            samples += block.size
            if samples > KEPT_SECONDS * SPEECH_RATE:
                self._kept = None
            elif self._kept is not None:
                self._kept.append(block)
            yield block
