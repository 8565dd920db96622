"""From sound to voices: where there is speech, overlapped windows of it, an embedding for each. In constant memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.audio.decode import FloatArray
from common.audio.vad import FRAME_SECONDS, TwoWayDetector, speech_spans
from diarize.engines.embedded.encoder import DIMENSIONS, MELS, MelStream, SpeakerEncoder
from diarize.engines.embedded.pauses import Powers, without_silence

WINDOW_FRAMES = 120  # shorter than what the encoder was trained on: fewer windows hold two voices
WINDOW_SECONDS = WINDOW_FRAMES / 100
HOP_SECONDS = 0.2
SPEECH_POWER = 10.0 ** (-25.0 / 10.0)
"""Each window is brought to this power, where the encoder tells voices apart best: a speaker 20 dB below the others
keeps its voice (measured: 12 % of equal errors at one gain for all, 1.5 % at one per window)."""
_SHORT_FRAMES = 60  # what is shorter is heard with its surroundings
_SHORT_STEP = 20  # so few lengths of windows that they are still computed in batches
_PENDING = 64

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Speech:
    """Where somebody speaks, in seconds, and the probability of each 32 ms frame.

    `spans` follow one another in time; where two of them touch, a short pause lets the speaker change.
    """

    spans: list[tuple[float, float]]
    probabilities: FloatArray


def listen(blocks: Iterable[FloatArray]) -> Iterator[int | Speech]:
    """First pass: samples heard so far, again and again, then the speech."""
    detector, powers, heard = TwoWayDetector(), Powers(), 0
    parts = []
    for block in blocks:
        parts.append(detector.push(block))
        powers.push(block)
        heard += block.size
        yield heard
    parts.append(detector.finish())
    forward = np.concatenate([part[0] for part in parts])
    either = np.maximum(forward, np.concatenate([part[1] for part in parts]))
    wide = speech_spans(
        either, threshold=0.15, release=0.08, min_silence=0.3, min_speech=0.12, pad=0.05, duration=heard / 16_000
    )
    sure = speech_spans(forward, threshold=0.35, release=0.2, min_silence=0.2, min_speech=0.1, pad=0.0)
    pauses = [(before.end + after.start) / 2 for before, after in itertools.pairwise(sure)]
    spans = list(_cut([(span.start, span.end) for span in wide], pauses))
    yield Speech(list(without_silence(spans, either, powers.all())), either)


def _cut(spans: list[tuple[float, float]], pauses: list[float]) -> Iterator[tuple[float, float]]:
    """The spans, cut at the pauses inside them."""
    index = 0
    for start, end in spans:
        while index < len(pauses) and pauses[index] < end - FRAME_SECONDS:
            if pauses[index] > start + FRAME_SECONDS:
                yield start, pauses[index]
                start = pauses[index]
            index += 1
        yield start, end


@dataclass(frozen=True)
class Window:
    """Frames of 10 ms, from `start` (which may be before the recording)."""

    start: int
    frames: int

    @property
    def centre(self) -> float:
        """In seconds."""
        return (self.start + self.frames / 2) / 100


def windows(spans: Iterable[tuple[float, float]]) -> list[Window]:
    """Windows that stay inside their span; a span shorter than a window has one."""
    found: list[Window] = []
    for start, end in spans:
        room = end - start - WINDOW_SECONDS
        if room <= 0:
            frames = round((end - start) * 100 / _SHORT_STEP) * _SHORT_STEP
            frames = min(WINDOW_FRAMES, max(_SHORT_FRAMES, frames))
            found.append(Window(round((start + end) * 50) - frames // 2, frames))
            continue
        steps = int(np.ceil(room / HOP_SECONDS))
        found.extend(Window(round((start + room * step / steps) * 100), WINDOW_FRAMES) for step in range(steps + 1))
    return found


def embeddings(
    blocks: Iterable[FloatArray], wanted: list[Window], probabilities: FloatArray, encoder: SpeakerEncoder
) -> Iterator[tuple[list[int], FloatArray]]:
    """Second pass: (indices in `wanted`, their embeddings), until all have one. Short ones may come before others."""
    pending: dict[int, list[tuple[int, FloatArray]]] = {}
    for index, mels in _slices(blocks, wanted, probabilities):
        group = pending.setdefault(len(mels), [])
        group.append((index, mels))
        if len(group) == _PENDING:
            yield [i for i, _ in group], encoder.embed(np.stack([m for _, m in group]))
            group.clear()
    for group in pending.values():
        if group:
            yield [i for i, _ in group], encoder.embed(np.stack([m for _, m in group]))


def _slices(
    blocks: Iterable[FloatArray], wanted: list[Window], probabilities: FloatArray
) -> Iterator[tuple[int, FloatArray]]:
    """(index, mel frames at the encoder's level) of each window, in order of beginning; silence outside the sound."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index].start)
    mels, weighted, weights = np.zeros((0, MELS), np.float32), np.zeros(0), np.zeros(0)
    origin, done = 0, 0
    for (new, powers), last in _frames(blocks):
        at = (origin + len(mels) + np.arange(len(new))) * 0.01
        frames = np.minimum((at / FRAME_SECONDS).astype(np.int64), probabilities.size - 1)
        weight = probabilities[frames].astype(np.float64) + 1e-3  # the level of what is speech in the window
        mels = np.concatenate((mels, new))
        weights, weighted = np.concatenate((weights, weight)), np.concatenate((weighted, weight * powers))
        while done < len(order):
            window = wanted[order[done]]
            if window.start + window.frames > origin + len(mels) and not last:
                break
            first, end = max(0, window.start - origin), min(len(mels), window.start + window.frames - origin)
            out = np.zeros((window.frames, MELS), np.float32)
            if end > first:
                power = weighted[first:end].sum() / weights[first:end].sum()
                at_first = origin + first - window.start
                out[at_first : at_first + end - first] = mels[first:end] * np.float32(SPEECH_POWER / max(power, 1e-9))
            yield order[done], out
            done += 1
        keep = wanted[order[done]].start if done < len(order) else origin + len(mels)
        drop = min(max(0, keep - origin), len(mels))
        mels, weighted, weights, origin = mels[drop:], weighted[drop:], weights[drop:], origin + drop


def _frames(blocks: Iterable[FloatArray]) -> Iterator[tuple[tuple[FloatArray, FloatArray], bool]]:
    """Mel frames and powers, and whether they are the last."""
    stream = MelStream()
    for block in blocks:
        yield stream.push(block), False
    yield stream.finish(), True


def all_embeddings(
    blocks: Iterable[FloatArray], wanted: list[Window], probabilities: FloatArray, encoder: SpeakerEncoder
) -> Iterator[int | FloatArray]:
    """How many windows are done, again and again, then the embeddings of all, in their order."""
    voices, done = np.zeros((len(wanted), DIMENSIONS), np.float32), 0
    for indices, some in embeddings(blocks, wanted, probabilities, encoder):
        voices[indices] = some
        done += len(indices)
        yield done
    yield voices
