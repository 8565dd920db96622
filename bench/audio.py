"""What the services of speech add to their engines: `python -m bench.audio` writes bench/results/audio.json.

Two parts, each alone with `python -m bench.audio PART`:

overhead  the same recording through an engine alone (the same chunks, cut beforehand, no service) and through asr over
          HTTP (upload, decoding, level, voice activity, chunks, joins, answer): the same machine, one after the other,
          several rounds. Engines: pocketsphinx as shipped, and Parakeet CTC of 110 and of 600 million RANDOM parameters
          through transformers (what they write means nothing; what they compute is what trained ones do).
long      recordings of 3 minutes and of 3 hours through asr (the same Parakeet) and through diarize (embedded): their
          real-time factors, and the peaks of memory (PSS of the service and its children) beside each other.

Recordings are made of real sentences (FLEURS, English) in a changing order with pauses, from the shared recordings,
and of nothing else: without them there is no figure.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from bench.peers import CACHE
from bench.serving.random_models import parakeet_110m, parakeet_600m
from bench.serving.server import Server, pss_mb, service
from common.audio.decode import SPEECH_RATE, AudioReader, FloatArray
from scripts.environment import ROOT

SPEECH = ROOT.parent / "shared" / "data" / "speech" / "fleurs" / "en"
RESULTS = ROOT / "bench" / "results" / "audio.json"
OVERHEAD_SECONDS, SHORT_SECONDS, LONG_SECONDS = 60.0, 180.0, 3 * 3600.0
ROUNDS = 3
SAMPLE_SECONDS = 0.5
ANSWER_SECONDS = 4 * 3600


# --- recordings ----------------------------------------------------------------------------------------------------


def speech(seconds: float) -> Iterator[FloatArray]:
    """Sentences in a changing order, with pauses of 0.3 to 1.2 s and levels that differ by up to 12 dB."""
    dice = random.Random(4)
    sentences = [AudioReader(path).read() for path in sorted(SPEECH.glob("*.ogg"))]
    given = 0
    while given < seconds * SPEECH_RATE:
        pause = np.zeros(int(dice.uniform(0.3, 1.2) * SPEECH_RATE), np.float32)
        loud = np.float32(10.0 ** (-dice.uniform(0.0, 12.0) / 20.0))
        for piece in (dice.choice(sentences) * loud, pause):
            left = int(seconds * SPEECH_RATE) - given
            if left > 0:
                yield piece[:left]
                given += min(left, piece.size)


def recording(folder: Path, seconds: float) -> Path:
    """An Ogg/Opus file of that length, made once."""
    import av

    path = folder / f"speech-{seconds:.0f}s.ogg"
    if path.is_file():
        return path
    draft = path.with_suffix(".part")
    with av.open(str(draft), "w", format="ogg") as out:
        stream = out.add_stream("libopus", rate=SPEECH_RATE)
        stream.bit_rate = 24_000
        for block in speech(seconds):
            frame = av.AudioFrame.from_ndarray((block[None] * 32767).astype(np.int16), format="s16", layout="mono")
            frame.sample_rate = SPEECH_RATE
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    draft.replace(path)
    return path


# --- the two ways --------------------------------------------------------------------------------------------------


def post(server: Server, path: str, sound: Path) -> dict[str, Any]:
    """The recording through a service; its whole answer."""
    with sound.open("rb") as file:
        sent = {"file": (sound.name, file, "audio/ogg")}
        fields = {"language": "en"} if path.endswith("transcribe") else {}
        answer = httpx2.post(server.url + path, files=sent, data=fields, timeout=ANSWER_SECONDS)
    if answer.status_code != 200:
        raise SystemExit(f"{path}: {answer.status_code} {answer.text[:500]}")
    body: dict[str, Any] = answer.json()
    return body


def seconds_of(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def bare(model: str) -> Iterator[Callable[[Path], float]]:
    """The engine alone, in its own process as the service has it; gives what decodes a recording cut beforehand, and
    the seconds that it took."""
    from asr.engines.base import AsrEngine, Chunk, Task
    from asr.engines.embedded.engine import EmbeddedEngine
    from asr.engines.process.client import ProcessEngine
    from asr.engines.process.spec import Opening
    from asr.transcription.speech import speech_chunks
    from common.audio.level import LevelledAudio

    engine: AsrEngine
    if model == "pocketsphinx":
        engine = EmbeddedEngine()
    else:
        engine = ProcessEngine("transformers", Path(model), Opening(use_gpu=False))
    cut: dict[Path, list[Chunk]] = {}

    def decode(sound: Path) -> float:
        if sound not in cut:
            audio = LevelledAudio(AudioReader(sound))
            cut[sound] = list(speech_chunks(audio.blocks(), max_seconds=engine.max_chunk_seconds))
        return seconds_of(lambda: list(engine.transcribe(cut[sound], Task("en"))))

    try:
        yield decode
    finally:
        engine.close()


def overhead(folder: Path) -> dict[str, Any]:
    """The service's time over its engine's, for each engine."""
    sound = recording(folder, OVERHEAD_SECONDS)
    results: dict[str, Any] = {"audio_seconds": OVERHEAD_SECONDS, "rounds": ROUNDS, "engines": {}}
    models = {
        "pocketsphinx": "pocketsphinx",
        "parakeet_ctc_110m_random": str(parakeet_110m(CACHE / "parakeet-110m")),
        "parakeet_ctc_600m_random": str(parakeet_600m(CACHE / "parakeet-600m")),
    }
    for name, model in models.items():
        with bare(model) as decode, service("asr", ASR_MODEL=model) as server:
            decode(sound)  # warm, both
            post(server, "/api/audio/transcribe", sound)
            pairs = [
                (decode(sound), seconds_of(partial(post, server, "/api/audio/transcribe", sound)))
                for _round in range(ROUNDS)
            ]
        engine, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
        results["engines"][name] = {
            "engine_seconds": round(engine, 2),
            "service_seconds": round(whole, 2),
            "overhead_percent": round(100 * (statistics.median(b / a for a, b in pairs) - 1), 1),
            "rounds": [[round(a, 2), round(b, 2)] for a, b in pairs],
        }
        print(name, results["engines"][name], flush=True)
    return results


# --- long recordings -----------------------------------------------------------------------------------------------


class Peak:
    """The most memory that a server and its children hold, sampled while inside."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.mb = 0.0

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.mb = max(self.mb, pss_mb(self._server.process.pid))

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()


def long(folder: Path) -> dict[str, Any]:
    """3 minutes, then 3 hours, through each service."""
    ways = {
        "asr, random Parakeet CTC 110M": (
            "asr",
            "/api/audio/transcribe",
            {"ASR_MODEL": str(parakeet_110m(CACHE / "parakeet-110m"))},
        ),
        "diarize, embedded": ("diarize", "/api/diarization/process", {"DIARIZE_MODEL": "resemblyzer"}),
    }
    results: dict[str, Any] = {}
    for name, (which, path, variables) in ways.items():
        with service(which, **variables) as server:
            peaks, entry = [], {}
            for seconds in (SHORT_SECONDS, LONG_SECONDS):
                sound = recording(folder, seconds)
                with Peak(server) as peak:
                    took = seconds_of(partial(post, server, path, sound))
                peaks.append(peak.mb)
                entry[f"{seconds:.0f}_s"] = {
                    "seconds": round(took, 1),
                    "rtf": round(took / seconds, 4),
                    "peak_mb": peak.mb,
                }
            entry["more_memory_mb"] = round(peaks[1] - peaks[0], 1)
        results[name] = entry
        print(name, entry, flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=("overhead", "long"))
    part = parser.parse_args().part
    if not SPEECH.is_dir():
        raise SystemExit(f"{SPEECH} is not here: the figures need the shared recordings.")
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    with tempfile.TemporaryDirectory(prefix="frigo-bench-") as folder:
        for name, work in (("overhead", overhead), ("long", long)):
            if part in (None, name):
                results[name] = work(Path(folder))
                results[name]["load_average"] = round(os.getloadavg()[0], 1)
                RESULTS.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
