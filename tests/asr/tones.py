"""Speech that a machine reads without any weights: each word is two beeps, one after the other.

A word that is cut in two leaves one beep, which reads as a fragment ("ba~"): what a real model makes of half a word.
So chunks, their order, their joins and what was lost can be judged word by word, over any length of sound.

`ToneModel` is the speech model (`asr.engines.process.spec.SpeechModel`) that reads it, in this process or in a child's;
`BeepDetector` takes the place of the voice detector, which rightly hears no voice in beeps.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr.engines.base import Capabilities, Task
from asr.engines.process.spec import Facts, Opening, Said, Utterance
from common.audio.decode import FloatArray
from common.audio.vad import FRAME
from common.errors import ApiError
from common.messages import _

RATE = 16_000
HOP = 160
_WINDOW = 400
BEEP = 0.13
"""Seconds of each of a word's two beeps."""
GAP = 0.07
"""Seconds of silence between two words of a sentence."""
SYLLABLES = ("ba", "bé", "do", "du", "fi", "fo", "ga", "gu", "ka", "ki", "la", "lo", "ma", "mi", "na", "no", "pa", "ra")
PITCHES = tuple(500.0 + 125.0 * number for number in range(len(SYLLABLES)))
WORDS = tuple(a + b for a in SYLLABLES for b in SYLLABLES if a != b)


@dataclass(frozen=True)
class Spoken:
    """A word that was put into the sound, and when, in seconds."""

    word: str
    start: float
    end: float


def beeps(word: str, level: float = 0.3) -> FloatArray:
    """The sound of one word."""
    first, second = (SYLLABLES.index(part) for part in (word[:2], word[2:]))
    return np.concatenate([_beep(PITCHES[first], level), _beep(PITCHES[second], level)])


def _beep(hertz: float, level: float) -> FloatArray:
    at = np.arange(round(BEEP * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def spoken(
    words: Iterable[str], *, pauses: dict[int, float] | None = None, start: float = 0.5
) -> tuple[FloatArray, list[Spoken]]:
    """The sound of `words` and when each is said; `pauses` are seconds of silence before the word of that number."""
    pieces, said, at = [silence(start)], [], start
    for number, word in enumerate(words):
        pause = (pauses or {}).get(number, GAP if number else 0.0)
        sound = beeps(word)
        pieces += [silence(pause), sound]
        begin = at + pause
        at = begin + sound.size / RATE
        said.append(Spoken(word, begin, at))
    return np.concatenate([*pieces, silence(0.5)]), said


def silence(seconds: float) -> FloatArray:
    return np.zeros(round(seconds * RATE), np.float32)


def blocks(samples: FloatArray, size: int = RATE) -> Iterator[FloatArray]:
    for start in range(0, samples.size, size):
        yield samples[start : start + size]


def read(samples: FloatArray) -> list[tuple[str, float, float, float]]:
    """The words in a stretch of beeps: (word, start, end, confidence)."""
    runs = _runs(samples)
    words: list[tuple[str, float, float, float]] = []
    while runs:
        first, start, end = runs.pop(0)
        if runs and runs[0][1] - end < GAP / 2 and runs[0][0] != first:
            second, _start, end = runs.pop(0)
            words.append((SYLLABLES[first] + SYLLABLES[second], start, end, 1.0))
        else:
            words.append((SYLLABLES[first] + "~", start, end, 0.3))
    return words


def _runs(samples: FloatArray) -> list[tuple[int, float, float]]:
    """(pitch number, start, end) of each beep."""
    if samples.size < _WINDOW:
        return []
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::HOP]
    loud = np.sqrt(np.mean(np.square(frames), axis=1)) > 0.02
    at = np.arange(_WINDOW) / RATE
    bank = np.exp(-2j * np.pi * np.outer(at, PITCHES)) * np.hanning(_WINDOW)[:, None]
    pitch = np.abs(frames @ bank.astype(np.complex64)).argmax(axis=1)
    found: list[tuple[int, float, float]] = []
    begin = 0
    for index in range(1, len(frames) + 1):
        if index < len(frames) and loud[index] == loud[begin] and (not loud[index] or pitch[index] == pitch[begin]):
            continue
        if loud[begin] and index - begin >= 3:  # less is the passage from one beep to the next
            half = _WINDOW / 2 / RATE
            found.append((int(pitch[begin]), begin * HOP / RATE + half / 2, (index - 1) * HOP / RATE + half * 1.5))
        begin = index
    return found


class ToneModel:
    """Reads beeps. `path` is a JSON file of what else it does:

    `delay`: seconds of work per second of sound; `batch_seconds`, `max_chunk_seconds`; `capabilities`; `times`: false
    gives text alone; `capital`: writes sentences; `die`, `hang`, `refuse`: words at which it does so; `room`: seconds
    of sound beyond which memory runs out; `log`: a file that gets one line per batch, the words of each utterance.
    """

    def __init__(self, path: Path, opening: Opening) -> None:
        self._how: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self._log = Path(self._how["log"]) if "log" in self._how else None
        given = self._how.get("capabilities", {})
        self.facts = Facts(
            name="tones",
            capabilities=capabilities(**given),
            max_chunk_seconds=self._how.get("max_chunk_seconds", 10.0),
            batch_seconds=self._how.get("batch_seconds", 40.0),
        )
        self.threads = os.environ.get("OMP_NUM_THREADS")
        self.opening = opening

    def transcribe(self, batch: list[Utterance], task: Task) -> list[Said]:
        seconds = max(one.seconds for one in batch) * len(batch)
        if seconds > self._how.get("room", 1e9):
            raise ApiError(507, "out_of_memory", _("La mémoire a manqué."))
        heard = [read(np.frombuffer(one.pcm, np.float32)) for one in batch]
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(json.dumps([" ".join(word for word, *_rest in words) for words in heard]) + "\n")
        for word in (word for words in heard for word, *_rest in words):
            if word == self._how.get("die"):
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()
            if word == self._how.get("hang"):
                threading.Event().wait()
            if word == self._how.get("refuse"):
                raise ApiError(422, "not_a_word", _("Mot refusé."))
        time.sleep(self._how.get("delay", 0.0) * seconds)
        if not self._how.get("times", True):
            return [Said(text=" ".join(word for word, *_rest in words)) for words in heard]
        return [Said(words=tuple(words)) for words in heard]

    def close(self) -> None:
        pass


def capabilities(**given: Any) -> Capabilities:
    """Capabilities out of JSON."""
    languages = frozenset(given.pop("languages", ["fr", "en"]))
    pairs = frozenset((a, b) for a, b in given.pop("translations", []))
    return Capabilities(languages=languages, translations=pairs, **given)


class BeepDetector:
    """Hears a voice wherever there is sound: in the place of `common.audio.vad.SpeechDetector`."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)

    def push(self, block: FloatArray) -> FloatArray:
        samples = np.concatenate((self._rest, block))
        count = samples.size // FRAME
        self._rest = samples[count * FRAME :].copy()
        frames = samples[: count * FRAME].reshape(count, FRAME)
        return np.where(np.sqrt(np.mean(np.square(frames), axis=1)) > 0.02, 0.95, 0.02).astype(np.float32)

    def finish(self) -> FloatArray:
        return self.push(np.zeros(FRAME - self._rest.size, np.float32)) if self._rest.size else np.zeros(0, np.float32)
