"""Make diarize/engines/embedded/voice_space.npz: in which directions of the encoder's vectors people differ.

`python -m bench.voice_space FOLDER` with recordings named as LibriSpeech names them (speaker-chapter-sentence.flac):
a linear discriminant analysis of windows heard through rooms, telephones and noises, drawn at random for each window,
so that what a channel changes counts as nothing. The committed file comes from the recordings of 254 speakers of
LibriSpeech (CC BY 4.0, https://www.openslr.org/12) that Resemblyzer publishes with its code, in `audio_data`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.signal

from common.audio.decode import AudioReader, FloatArray
from common.audio.level import LevelledAudio
from common.audio.vad import speech_probabilities, speech_spans
from diarize.engines.embedded.convert import convert, wheel_file
from diarize.engines.embedded.encoder import DIMENSIONS, RATE, MelStream, SpeakerEncoder
from diarize.engines.embedded.windows import SPEECH_POWER, WINDOW_FRAMES

TARGET = Path(__file__).resolve().parent.parent / "diarize" / "engines" / "embedded" / "voice_space.npz"
PER_SPEAKER = 12
SHRINKAGE = 0.5  # of the scatter within speakers towards a sphere: there are few speakers for 256 dimensions
SAMPLES = WINDOW_FRAMES * 160

Samples = npt.NDArray[np.float64]


def speech(path: Path) -> Samples:
    """The spoken parts of a recording, end to end."""
    samples = np.concatenate(list(LevelledAudio(AudioReader(path)).blocks()))
    spans = speech_spans(speech_probabilities([samples]), threshold=0.6, release=0.35, min_silence=0.3, pad=0.03)
    parts = [samples[int(span.start * RATE) : int(span.end * RATE)] for span in spans]
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


def noise(count: int, random: np.random.Generator) -> Samples:
    """Coloured noise of unit power."""
    spectrum = np.fft.rfft(random.normal(size=count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    coloured = np.fft.irfft(spectrum / (hertz / 100 + 0.3) ** random.uniform(0.2, 1.0), count)
    return np.asarray(coloured / np.sqrt(np.mean(coloured**2)))


def room(samples: Samples, random: np.random.Generator) -> Samples:
    """Heard from a few steps away: an echo that fades exponentially, the high notes lost."""
    count = int(random.uniform(0.25, 0.8) * RATE)
    echo = random.normal(size=count) * 10.0 ** (-3.0 * np.arange(count) / count)
    echo *= 10.0 ** (-random.uniform(-4.0, 10.0) / 20.0) / np.sqrt(np.sum(echo**2))
    echo[0] += 1.0
    heard = scipy.signal.fftconvolve(samples, echo)[: samples.size]
    b, a = scipy.signal.butter(2, random.uniform(2_500.0, 7_500.0), fs=RATE)
    return np.asarray(scipy.signal.lfilter(b, a, heard))


def telephone(samples: Samples, random: np.random.Generator) -> Samples:
    """The band of a telephone line, in the eight bits of its mu-law."""
    band = [random.uniform(200.0, 350.0), random.uniform(2_800.0, 3_500.0)]
    b, a = scipy.signal.butter(3, band, "band", fs=RATE)
    line = scipy.signal.lfilter(b, a, samples)
    line = line / max(1e-6, float(np.abs(line).max())) * 0.8
    codes = np.round(np.sign(line) * np.log1p(255 * np.abs(line)) / np.log1p(255) * 127) / 127
    return np.asarray(np.sign(codes) * np.expm1(np.abs(codes) * np.log1p(255)) / 255)


def heard(samples: Samples, random: np.random.Generator) -> FloatArray:
    """A window through a channel drawn at random, at the level that the encoder is given."""
    channel = random.integers(4)
    if channel in (1, 2):
        samples = room(samples, random)
    if channel == 3:
        samples = telephone(samples, random)
    level = random.uniform(0.0, 14.0) if channel == 2 else random.uniform(5.0, 35.0)
    power = float(np.mean(samples**2))
    samples = samples + noise(samples.size, random) * np.sqrt(power) * 10.0 ** (-level / 20.0)
    return np.asarray(samples * np.sqrt(SPEECH_POWER / np.mean(samples**2)), np.float32)


def discriminant(vectors: FloatArray, speakers: npt.NDArray[np.str_]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean (256,), axes (256, 64) and spread (64,).

    The scatter within speakers is made a sphere, then come the widest axes of the scatter between them. The spread is
    the variance between speakers on each axis, in units of the variance within them.
    """
    mean = vectors.mean(axis=0)
    centred = (vectors - mean).astype(np.float64)
    names, index = np.unique(speakers, return_inverse=True)
    centres = np.stack([centred[index == i].mean(axis=0) for i in range(len(names))])
    rest = centred - centres[index]
    within = rest.T @ rest / (len(centred) - len(names))
    between = centres.T @ centres / len(names) - within / (len(centred) / len(names))
    size = len(mean)
    shrunk = (1.0 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / size * np.eye(size)
    values, vectors_ = np.linalg.eigh(shrunk)
    sphere = vectors_ / np.sqrt(values)
    ratios, turned = np.linalg.eigh(sphere.T @ between @ sphere)
    axes = sphere @ turned[:, np.argsort(ratios)[::-1][:DIMENSIONS]]
    spread = np.einsum("ij,ik,kj->j", axes, between, axes) / np.einsum("ij,ik,kj->j", axes, within, axes)
    return mean, np.asarray(axes / np.abs(axes).max(), np.float32), np.asarray(spread, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    voices: dict[str, list[Samples]] = defaultdict(list)
    for path in sorted(parser.parse_args().folder.rglob("*.flac")):
        voices[path.stem.split("-")[0]].append(speech(path))
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        convert(wheel_file(), Path(folder) / "encoder.onnx")
        encoder = SpeakerEncoder(Path(folder) / "encoder.onnx")
    vectors, speakers = [], []
    for speaker, parts in voices.items():
        samples = np.concatenate(parts)
        if samples.size < 2 * SAMPLES:
            continue
        windows = []
        for start in random.integers(0, samples.size - SAMPLES, PER_SPEAKER):
            mels, _powers = MelStream().push(heard(samples[start : start + SAMPLES], random))
            windows.append(np.pad(mels, ((0, WINDOW_FRAMES - len(mels)), (0, 0))))
        vectors.append(encoder.raw(np.stack(windows)))
        speakers += [speaker] * PER_SPEAKER
    mean, axes, spread = discriminant(np.concatenate(vectors), np.array(speakers))
    np.savez_compressed(TARGET, mean=mean.astype(np.float32), axes=axes.astype(np.float16), spread=spread)
    print(f"{len(set(speakers))} speakers, {len(speakers)} windows: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
