"""Resemblyzer's speaker encoder in numpy: mel features, a three-layer LSTM, a linear layer, L2 normalisation.

Weights and recipe: https://github.com/resemble-ai/Resemblyzer (Apache-2.0), trained with the GE2E loss on 1.6 s
windows. torch and librosa are not needed: `convert` reads the weights out of the wheel once.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.audio.decode import FloatArray

RATE = 16_000
WINDOW_FRAMES = 160  # what the encoder was trained on: 1.6 s
HOP = 160
_FFT = 400
_MELS = 40
_LAYERS = 3
_HIDDEN = 256
DIMENSIONS = 256


@cache
def mel_filters() -> FloatArray:
    """Slaney's triangular filters with area normalisation, as librosa makes them: (40, 201)."""
    mel_edges = np.linspace(0.0, _hz_to_mel(RATE / 2), _MELS + 2)
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


def mel_spectrogram(samples: FloatArray) -> FloatArray:
    """Power mel spectrogram (frames, 40): 25 ms Hann windows centred every 10 ms, zeros outside the signal."""
    padded = np.pad(samples, _FFT // 2)
    count = 1 + samples.size // HOP
    window = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
    out = np.empty((count, _MELS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP]
    for start in range(0, count, 1000):
        spectrum = np.fft.rfft(frames[start : start + 1000] * window, axis=1)
        out[start : start + 1000] = (np.abs(spectrum) ** 2).astype(np.float32) @ mel_filters().T
    return out


class SpeakerEncoder:
    """1.6 s of mel frames in, a unit vector of 256 non-negative numbers out."""

    def __init__(self, weights: dict[str, FloatArray]) -> None:
        self._layers = [
            (
                np.ascontiguousarray(weights[f"lstm.weight_ih_l{i}"].T, np.float32),
                np.ascontiguousarray(weights[f"lstm.weight_hh_l{i}"].T, np.float32),
                (weights[f"lstm.bias_ih_l{i}"] + weights[f"lstm.bias_hh_l{i}"]).astype(np.float32),
            )
            for i in range(_LAYERS)
        ]
        self._linear = np.ascontiguousarray(weights["linear.weight"].T, np.float32)
        self._bias = weights["linear.bias"].astype(np.float32)

    @classmethod
    def from_file(cls, path: Path) -> SpeakerEncoder:
        with np.load(path, allow_pickle=False) as weights:
            return cls(dict(weights))

    def embed(self, windows: FloatArray) -> FloatArray:
        """Embeddings (batch, 256) of mel windows (batch, frames, 40)."""
        sequence = np.ascontiguousarray(windows.transpose(1, 0, 2), np.float32)
        for layer in self._layers:
            sequence = _lstm(sequence, *layer)
        raw = np.maximum(sequence[-1] @ self._linear + self._bias, 0.0)
        return np.asarray(raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9), np.float32)


def _lstm(sequence: FloatArray, w_in: FloatArray, w_hidden: FloatArray, bias: FloatArray) -> FloatArray:
    """torch.nn.LSTM's layer over (time, batch, features); gates in the order input, forget, cell, output."""
    steps, batch, _features = sequence.shape
    gates_in = sequence.reshape(steps * batch, -1) @ w_in + bias
    gates_in = gates_in.reshape(steps, batch, 4 * _HIDDEN)
    hidden = np.zeros((batch, _HIDDEN), np.float32)
    cell = np.zeros((batch, _HIDDEN), np.float32)
    out = np.empty((steps, batch, _HIDDEN), np.float32)
    for step in range(steps):
        gates = gates_in[step] + hidden @ w_hidden
        update, forget, output = (_sigmoid(gates[:, k * _HIDDEN : (k + 1) * _HIDDEN]) for k in (0, 1, 3))
        cell = forget * cell + update * np.tanh(gates[:, 2 * _HIDDEN : 3 * _HIDDEN])
        hidden = output * np.tanh(cell)
        out[step] = hidden
    return out


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (np.tanh(0.5 * x) + 1.0), np.float32)
