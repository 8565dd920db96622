"""Quality of the embedded speech engines on ../shared/data: word error rate, diarization error rate, speed.

`python -m bench.speech_quality` writes bench/results/speech_quality.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jiwer

from asr.engines.embedded.engine import EmbeddedEngine as Asr
from asr.models import speech
from asr.settings import AsrSettings
from asr.tasks import Ask, plan
from asr.transcription.transcriber import transcribe
from asr.transcription.transcript import Transcript
from bench.der import Score, Turn, der, read_rttm
from common.audio.decode import AudioReader
from common.audio.level import LevelledAudio
from diarize.engines.base import Found, SpeakerRange
from diarize.engines.embedded.convert import convert, wheel_file
from diarize.engines.embedded.engine import EmbeddedEngine as Diarizer

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT.parent / "shared" / "data" / "speech"
RESULTS = ROOT / "bench" / "results" / "speech_quality.json"
JFK = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
CONDITIONS: dict[str, dict[str, Any]] = {
    "collar_0": {"collar": 0.0},
    "collar_0_no_overlap": {"collar": 0.0, "skip_overlap": True},
    "collar_0.25": {"collar": 0.25},
    "collar_0.25_no_overlap": {"collar": 0.25, "skip_overlap": True},
}
AMI = ("dev00", "dev01", "trn01")


def normalised(text: str) -> str:
    """Lower case, no punctuation, hyphens as spaces: what WER is counted on."""
    return " ".join(re.sub(r"[^\w' ]+", " ", text.lower().replace("’", "'").replace("-", " ")).split())


def word_errors(engine: Asr, path: Path, reference: str) -> dict[str, Any]:
    """Errors and speed on one file."""
    catalogue = speech(AsrSettings()).catalogue()
    started = time.perf_counter()
    steps = transcribe(engine, AudioReader(path), plan(Ask("en"), engine, catalogue))
    transcript = next(step for step in steps if isinstance(step, Transcript))
    seconds = time.perf_counter() - started
    output = jiwer.process_words(normalised(reference), normalised(transcript.text))
    return {
        "errors": output.substitutions + output.insertions + output.deletions,
        "words": len(normalised(reference).split()),
        "wer": round(output.wer, 4),
        "text": transcript.text,
        "rtf": round(seconds / transcript.duration, 3),
    }


def recordings() -> Iterator[tuple[str, Path, list[Turn]]]:
    """Every diarized recording with its reference."""
    turns = read_rttm(SPEECH / "ami" / "debug.development.rttm") | read_rttm(SPEECH / "ami" / "debug.train.rttm")
    for name in AMI:
        yield name, SPEECH / "ami" / f"{name}.wav", turns[name]
    folder = SPEECH / "fr-two-speakers"
    yield (
        "fr-two-speakers",
        folder / "fr_two_speakers.wav",
        read_rttm(folder / "fr_two_speakers.rttm")["fr_two_speakers"],
    )


def diarized(engine: Diarizer, path: Path, speakers: SpeakerRange) -> tuple[list[Turn], float, float]:
    """Turns, the recording's length and the seconds it took."""
    started = time.perf_counter()
    audio = LevelledAudio(AudioReader(path))
    found = next(step for step in engine.process(audio, speakers) if isinstance(step, Found))
    turns = [(str(turn.speaker), turn.start, turn.end) for turn in found.exclusive]
    return turns, audio.seconds, time.perf_counter() - started


def diarization(engine: Diarizer) -> dict[str, Any]:
    """DER of each recording and of the three of AMI together, the count found by itself and given."""
    results: dict[str, Any] = {}
    nothing = Score(0.0, 0.0, 0.0, 0.0)
    ami = {mode: dict.fromkeys(CONDITIONS, nothing) for mode in ("auto", "count_given")}
    for name, path, reference in recordings():
        true_count = len({speaker for speaker, _, _ in reference})
        for mode, speakers in (("auto", SpeakerRange()), ("count_given", SpeakerRange(true_count, true_count))):
            turns, length, seconds = diarized(engine, path, speakers)
            entry: dict[str, Any] = {
                "speakers": len({speaker for speaker, _, _ in turns}),
                "true_speakers": true_count,
                "rtf": round(seconds / length, 3),
            }
            for condition, options in CONDITIONS.items():
                score = der(reference, turns, end=min(length, 30.0), **options)
                entry[condition] = shown(score)
                if name in AMI:
                    ami[mode][condition] += score
            results.setdefault(name, {})[mode] = entry
    results["ami"] = {mode: {name: shown(score) for name, score in scores.items()} for mode, scores in ami.items()}
    return results


def shown(score: Score) -> dict[str, float]:
    """A score in per cent of the reference time, which is in seconds."""
    total = score.total or 1.0
    return {
        "der": round(100 * score.rate, 1),
        "missed": round(100 * score.missed / total, 1),
        "false_alarm": round(100 * score.false_alarm / total, 1),
        "confusion": round(100 * score.confusion / total, 1),
        "seconds": round(score.total, 1),
    }


def transcription() -> dict[str, Any]:
    """WER on jfk and on the ten English FLEURS sentences."""
    engine = Asr()
    try:
        jfk = word_errors(engine, SPEECH / "jfk" / "jfk.flac", JFK)
        sentences = {
            path.stem: word_errors(engine, path, path.with_suffix(".txt").read_text(encoding="utf-8"))
            for path in sorted((SPEECH / "fleurs" / "en").glob("*.ogg"))
        }
    finally:
        engine.close()
    errors = sum(s["errors"] for s in sentences.values())
    words = sum(s["words"] for s in sentences.values())
    return {"jfk": jfk, "fleurs_en": {"wer": round(errors / words, 4), "files": sentences}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("asr", "diarize"))
    chosen = parser.parse_args().only
    if not SPEECH.is_dir():
        raise SystemExit(f"{SPEECH} is not here: the figures need the shared recordings.")
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    if chosen != "diarize":
        results["transcription"] = transcription()
        print(
            "WER jfk", results["transcription"]["jfk"]["wer"], "fleurs/en", results["transcription"]["fleurs_en"]["wer"]
        )
    if chosen != "asr":
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "resemblyzer.onnx"
            convert(wheel_file(), weights)
            results["diarization"] = diarization(Diarizer(weights))
        for name, modes in results["diarization"].items():
            for mode, entry in modes.items():
                figures = " ".join(f"{condition} {entry[condition]['der']}" for condition in CONDITIONS)
                voices = f"{entry['speakers']}/{entry['true_speakers']} voices" if "speakers" in entry else ""
                print(f"DER {name:16} {mode:12} {voices:10}  {figures}")
    results["load_average"] = round(os.getloadavg()[0], 1)  # above the number of cores, the speeds mean little
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
