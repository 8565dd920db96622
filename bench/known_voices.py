"""Known voices: how alike the embedded engine finds one person and two, on ../shared/data, and what its limit does.

One person: the two halves of what each speaker of the AMI extracts and of fr-two-speakers says alone. Two people:
those speakers with the others of their recording, and every French FLEURS sentence with every English one.
`python -m bench.known_voices` writes bench/results/known_voices.json.
"""

from __future__ import annotations

import io
import json
import tempfile
from itertools import combinations, product
from pathlib import Path

import numpy as np

from bench.der import read_rttm
from bench.speech_quality import ROOT, SPEECH
from common.audio.decode import SPEECH_RATE, AudioReader, FloatArray
from common.audio.level import LevelledAudio
from common.audio.wav import write_wav
from diarize.engines.embedded.convert import convert, wheel_file
from diarize.engines.embedded.engine import EmbeddedEngine

RESULTS = ROOT / "bench" / "results" / "known_voices.json"
_LEAST_SECONDS = 2.0


def halves(path: Path, turns: list[tuple[str, float, float]]) -> dict[str, list[FloatArray]]:
    """The sound of each speaker when alone, in two halves; those who say too little are left out."""
    samples = AudioReader(path).read()
    found = {}
    for speaker in sorted({who for who, _start, _end in turns}):
        alone = np.zeros(samples.size, bool)
        for mine in (True, False):
            for who, start, end in turns:
                if (who == speaker) is mine:
                    alone[round(start * SPEECH_RATE) : round(end * SPEECH_RATE)] = mine
        said = samples[alone]
        if said.size >= 2 * _LEAST_SECONDS * SPEECH_RATE:
            found[speaker] = [said[: said.size // 2], said[said.size // 2 :]]
    return found


def audio(samples: FloatArray) -> LevelledAudio:
    """Samples as an engine takes them."""
    out = io.BytesIO()
    write_wav(out, [samples], SPEECH_RATE)
    return LevelledAudio(AudioReader(io.BytesIO(out.getvalue())))


def similarities(engine: EmbeddedEngine) -> tuple[list[float], list[float]]:
    """Cosine similarities of one person with themselves, and of two people."""
    turns = read_rttm(SPEECH / "ami" / "debug.development.rttm") | read_rttm(SPEECH / "ami" / "debug.train.rttm")
    pair = SPEECH / "fr-two-speakers"
    recordings = {SPEECH / "ami" / f"{name}.wav": turns[name] for name in ("dev00", "dev01", "trn01")}
    recordings |= {pair / "fr_two_speakers.wav": read_rttm(pair / "fr_two_speakers.rttm")["fr_two_speakers"]}
    one: list[float] = []
    two: list[float] = []
    for path, spoken in recordings.items():
        voices = {
            who: [voice for part in parts if (voice := engine.embed(audio(part))) is not None]
            for who, parts in halves(path, spoken).items()
        }
        one += [float(a @ b) for found in voices.values() for a, b in combinations(found, 2)]
        two += [
            float(a @ b) for first, second in combinations(voices, 2) for a, b in product(voices[first], voices[second])
        ]
    fleurs = [
        [engine.embed(LevelledAudio(AudioReader(path))) for path in sorted((SPEECH / "fleurs" / code).glob("*.ogg"))]
        for code in ("fr", "en")
    ]
    two += [float(a @ b) for a, b in product(*fleurs) if a is not None and b is not None]
    return one, two


def main() -> None:
    if not SPEECH.is_dir():
        raise SystemExit(f"{SPEECH} is not here: the figures need the shared recordings.")
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights"
        convert(wheel_file(), weights)
        engine = EmbeddedEngine(weights)
        one, two = similarities(engine)
    limit = engine.same_voice
    results = {
        "engine": engine.name,
        "space": engine.space,
        "same_voice": limit,
        "one_person": {
            "pairs": len(one),
            "least": round(min(one), 3),
            "missed": sum(s < limit for s in one),
        },
        "two_people": {
            "pairs": len(two),
            "most": round(max(two), 3),
            "taken": sum(s >= limit for s in two),
        },
    }
    print(json.dumps(results, indent=1))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
