"""Resemblyzer's speaker encoder: mel features in numpy, the network in onnxruntime, and the space voices live in.

Weights and recipe: https://github.com/resemble-ai/Resemblyzer (Apache-2.0), trained with the GE2E loss on 1.6 s
windows. `convert` writes the network as ONNX, out of the wheel, once; neither torch nor librosa is needed.

The encoder's own vectors hold the microphone, the room and the noise beside the voice. `voice_space.npz` is a linear
discriminant analysis (made by `python -m bench.voice_space`) that keeps the 64 directions in which people differ
most, for how much one person varies from one channel to another. It holds nothing of the recordings it was learnt
from: LibriSpeech (V. Panayotov et al., https://www.openslr.org/12), used under CC BY 4.0.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.audio.decode import FloatArray
from common.onnx import onnx_session
from diarize.engines.embedded.onnx_file import INPUT

RATE = 16_000
HOP = 160
MELS = 40
DIMENSIONS = 64
_FFT = 400
_BATCH = 16  # windows computed at once: more is slower, and takes memory
_SPACE = Path(__file__).with_name("voice_space.npz")


@cache
def mel_filters() -> FloatArray:
    """Slaney's triangular filters with area normalisation, as librosa makes them: (40, 201)."""
    mel_edges = np.linspace(0.0, _hz_to_mel(RATE / 2), MELS + 2)
    edges = _mel_to_hz(mel_edges)
    bins = np.linspace(0.0, RATE / 2, _FFT // 2 + 1)
    ramps = edges[:, None] - bins[None, :]
    widths = np.diff(edges)
    lower = -ramps[:-2] / widths[:-1, None]
    upper = ramps[2:] / widths[1:, None]
    weights = np.maximum(0.0, np.minimum(lower, upper)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(weights, np.float32)


def _hz_to_mel(hz: float) -> float:
    linear = hz * 3.0 / 200.0
    return linear if hz < 1000.0 else 15.0 + float(np.log(hz / 1000.0)) * 27.0 / float(np.log(6.4))


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))


class MelStream:
    """Mel frames of 16 kHz blocks of any size: 25 ms Hann windows centred every 10 ms, zeros outside the signal."""

    def __init__(self) -> None:
        self._window = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
        self._buffer = np.zeros(_FFT // 2, np.float32)

    def push(self, block: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The complete frames: their power mel spectrogram (frames, 40) and mean square of the samples (frames,)."""
        self._buffer = np.concatenate((self._buffer, block))
        count = max(0, (self._buffer.size - _FFT) // HOP + 1)
        mels, powers = np.empty((count, MELS), np.float32), np.empty(count, np.float32)
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(self._buffer, _FFT)[::HOP]
            for start in range(0, count, 1000):
                some = frames[start : min(count, start + 1000)]
                spectrum = np.fft.rfft(some * self._window, axis=1)
                mels[start : start + len(some)] = (np.abs(spectrum) ** 2).astype(np.float32) @ mel_filters().T
                powers[start : start + len(some)] = np.mean(np.square(some[:, _FFT // 2 : _FFT // 2 + HOP]), axis=1)
            self._buffer = self._buffer[count * HOP :].copy()
        return mels, powers

    def finish(self) -> tuple[FloatArray, FloatArray]:
        """The last frames, half in silence."""
        return self.push(np.zeros(_FFT // 2, np.float32))


def unit(rows: FloatArray) -> FloatArray:
    """Each row at length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)


class SpeakerEncoder:
    """Mel frames in, a unit vector of 64 numbers out. Safe to call from several threads."""

    def __init__(self, model: Path) -> None:
        self._run = onnx_session(model, arena=False).run
        with np.load(_SPACE, allow_pickle=False) as space:
            self._mean = space["mean"].astype(np.float32)
            self._axes = space["axes"].astype(np.float32)
            self.spread = space["spread"].astype(np.float32)
            """Variance between people on each axis, in units of one person's (64,)."""

    def raw(self, windows: FloatArray) -> FloatArray:
        """Resemblyzer's own unit vectors (batch, 256) of mel windows (batch, frames, 40)."""
        parts = [self._run(None, {INPUT: windows[i : i + _BATCH]})[0] for i in range(0, len(windows), _BATCH)]
        return np.concatenate(parts)

    def embed(self, windows: FloatArray) -> FloatArray:
        """Embeddings (batch, 64) of mel windows (batch, frames, 40)."""
        return unit((self.raw(windows) - self._mean) @ self._axes)
