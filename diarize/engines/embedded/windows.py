"""Overlapped windows of speech, and one speaker embedding for each, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from common.audio.decode import FloatArray
from common.audio.vad import FRAME, SpeechDetector
from diarize.engines.embedded.encoder import RATE, WINDOW_FRAMES, SpeakerEncoder, mel_spectrogram

WINDOW_SECONDS = 1.6
HOP_SECONDS = 0.2
_SAMPLES = int(WINDOW_SECONDS * RATE)
_SPEECH_RMS = 10.0 ** (-30.0 / 20.0)  # the level the encoder was trained at
_BATCH = 32

Times = npt.NDArray[np.float64]


class SpeechLevel:
    """RMS of the frames that hold speech."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._power = 0.0
        self._frames = 0

    def add(self, samples: FloatArray, probabilities: FloatArray) -> None:
        count = min(samples.size // FRAME, probabilities.size)
        voiced = probabilities[:count] >= self._threshold
        powers = np.mean(np.square(samples[: count * FRAME].reshape(count, FRAME)), axis=1)
        self._power += float(powers[voiced].sum())
        self._frames += int(voiced.sum())

    def gain(self) -> float:
        """The factor that brings speech to the encoder's level."""
        rms = (self._power / self._frames) ** 0.5 if self._frames else 0.0
        return _SPEECH_RMS / rms if rms > 1e-7 else 1.0


def listen(blocks: Iterable[FloatArray], threshold: float) -> Iterator[tuple[int, FloatArray, SpeechLevel]]:
    """First pass: (samples heard so far, probabilities of the new frames, running level of speech)."""
    detector, level, heard = SpeechDetector(), SpeechLevel(threshold), 0
    rest = np.zeros(0, np.float32)
    for block in blocks:
        samples = np.concatenate((rest, block))
        probabilities = detector.push(block)
        level.add(samples, probabilities)
        rest = samples[probabilities.size * FRAME :]
        heard += block.size
        yield heard, probabilities, level
    yield heard, detector.finish(), level


def window_centres(spans: Iterable[tuple[float, float]]) -> Times:
    """Centres, in seconds, of windows that stay inside their span; a span shorter than a window has one."""
    centres: list[float] = []
    for start, end in spans:
        room = end - start - WINDOW_SECONDS
        if room <= 0:
            centres.append((start + end) / 2)
            continue
        steps = int(np.ceil(room / HOP_SECONDS))
        centres.extend(start + WINDOW_SECONDS / 2 + room * step / steps for step in range(steps + 1))
    return np.asarray(centres, np.float64)


def embeddings(
    blocks: Iterable[FloatArray], centres: Times, gain: float, encoder: SpeakerEncoder
) -> Iterator[FloatArray]:
    """Second pass: batches of embeddings, in the order of `centres` (which must increase)."""
    batch: list[FloatArray] = []
    for samples in _slices(blocks, centres):
        batch.append(mel_spectrogram(samples * np.float32(gain))[:WINDOW_FRAMES])
        if len(batch) == _BATCH:
            yield encoder.embed(np.stack(batch))
            batch = []
    if batch:
        yield encoder.embed(np.stack(batch))


def _slices(blocks: Iterable[FloatArray], centres: Times) -> Iterator[FloatArray]:
    """The samples of each window; silence where it goes over an end of the recording."""
    starts = np.round(centres * RATE).astype(np.int64) - _SAMPLES // 2
    half = np.zeros(_SAMPLES // 2 + 1, np.float32)
    buffer, origin, index = half, -half.size, 0
    for block in _with_tail(blocks, half):
        buffer = np.concatenate((buffer, block))
        while index < len(starts) and starts[index] + _SAMPLES <= origin + buffer.size:
            at = int(starts[index] - origin)
            yield buffer[at : at + _SAMPLES]
            index += 1
        keep = int(starts[index] - origin) if index < len(starts) else buffer.size
        drop = min(max(0, keep), buffer.size)
        buffer, origin = buffer[drop:], origin + drop


def _with_tail(blocks: Iterable[FloatArray], tail: FloatArray) -> Iterator[FloatArray]:
    yield from blocks
    yield tail
