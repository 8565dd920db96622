"""Make the sample meeting again: `python -m scripts.sample.make_sample` (needs Debian's `flite`).

Two free flite voices read `script.py`; the result is Opus in OGG beside its reference transcript, both in app/sample/.
The recording is synthetic and says so in its reference and in its metadata.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from scripts.sample.script import LANGUAGE, TITLE, TURNS, VOICES

HERE = Path(__file__).resolve().parents[2] / "app" / "sample"
NAME = "reunion-exemple"
RATE = 16_000
TURN_PAUSE_S = 1.0  # silence between two turns
SENTENCE_PAUSE_S = 0.8  # long enough for the transcript to be cut into sentences there
STRETCH = 1.12  # a little slower than flite's own pace
LEVEL = 0.12  # root mean square of every sentence, so that both voices are equally loud

Samples = NDArray[np.float32]


def speak(text: str, voice: str) -> Samples:
    """One sentence read by a flite voice, as mono float32 at 16 kHz, without the silence around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sentence.wav"
        subprocess.run(
            ["flite", "-voice", voice, "--setf", f"duration_stretch={STRETCH}", "-t", text, "-o", str(path)], check=True
        )
        with wave.open(str(path)) as wav:
            if (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) != (RATE, 1, 2):
                raise ValueError(f"{voice}: 16 kHz mono 16-bit was expected")
            samples = np.frombuffer(wav.readframes(wav.getnframes()), np.int16).astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    samples = samples[loud[0] : loud[-1] + 1]
    level = float(np.sqrt(np.mean(samples**2)))
    return np.clip(samples * (LEVEL / level), -0.99, 0.99).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def assemble() -> tuple[Samples, list[dict[str, object]]]:
    """The whole meeting, and where each turn is in it (seconds)."""
    pieces: list[Samples] = [silence(TURN_PAUSE_S)]
    segments: list[dict[str, object]] = []
    for speaker, sentences in TURNS:
        start = sum(piece.size for piece in pieces) / RATE
        for number, sentence in enumerate(sentences):
            if number:
                pieces.append(silence(SENTENCE_PAUSE_S))
            pieces.append(speak(sentence, VOICES[speaker]))
        end = sum(piece.size for piece in pieces) / RATE
        pieces.append(silence(TURN_PAUSE_S))
        segments.append(
            {"speaker": speaker, "start": round(start, 3), "end": round(end, 3), "text": " ".join(sentences)}
        )
    return np.concatenate(pieces), segments


def write_opus(samples: Samples, path: Path) -> None:
    with av.open(str(path), "w", format="ogg") as container:
        container.metadata.update({"title": TITLE, "comment": "Enregistrement synthétique (voix flite slt et rms)"})
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        stream.bit_rate = 48_000
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000, frame_size=960)
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="flt", layout="mono")
        frame.sample_rate = RATE
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))


def main() -> int:
    if shutil.which("flite") is None:
        print("flite est introuvable : installez-le (apt-get install flite).", file=sys.stderr)
        return 1
    HERE.mkdir(parents=True, exist_ok=True)
    samples, segments = assemble()
    write_opus(samples, HERE / f"{NAME}.ogg")
    reference = {
        "title": TITLE,
        "synthetic": True,
        "language": LANGUAGE,
        "duration": round(samples.size / RATE, 3),
        "voices": {speaker: f"flite {voice}" for speaker, voice in VOICES.items()},
        "speakers": list(VOICES),
        "segments": segments,
    }
    text = json.dumps(reference, ensure_ascii=False, indent=2)
    (HERE / f"{NAME}.json").write_text(text + "\n", encoding="utf-8")
    print(f"{HERE / NAME}.ogg : {samples.size / RATE:.1f} s, {(HERE / f'{NAME}.ogg').stat().st_size // 1024} Kio")
    return 0


if __name__ == "__main__":
    sys.exit(main())
