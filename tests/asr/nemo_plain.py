"""Ours beside NeMo's own `restore_from` and `transcribe`, on the same archives and sounds; prints both as JSON.

Run with NeMo's interpreter: ``python tests/asr/nemo_plain.py FILE.nemo LANGUAGE TARGET …`` ("-" for none).
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np

from asr.engines.base import Task
from asr.engines.nemo.model import NemoModel
from asr.engines.process.spec import Opening, Said, Utterance

SECONDS = (3.0, 5.317, 1.0, 2.2, 0.4)
_reached: list[str] = []
_connect = socket.socket.connect


def _told(self: socket.socket, address: Any) -> None:
    if self.family != socket.AF_UNIX:
        _reached.append(str(address))
    _connect(self, address)


def _sounds() -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """Chirps and noise, louder and softer."""
    random = np.random.default_rng(5)
    made = []
    for index, seconds in enumerate(SECONDS):
        count = int(seconds * 16_000)
        pitch = np.cumsum(np.repeat(random.uniform(0.02, 0.4, count // 800 + 1), 800)[:count])
        made.append((0.1 / (index + 1) * np.sin(pitch) + random.normal(0, 0.01, count)).astype(np.float32))
    return made


def _plain(path: str, sounds: list[Any], asked: dict[str, str], *, times: bool | None) -> list[Any]:
    from nemo.collections.asr.models import ASRModel

    model = ASRModel.restore_from(path, map_location="cpu").eval()
    found = model.transcribe(
        audio=list(sounds), batch_size=len(sounds), verbose=False, timestamps=times, return_hypotheses=True, **asked
    )
    return [
        {
            "text": one.text,
            "words": [[word["word"], word["start"], word["end"]] for word in one.timestamp["word"]] if times else [],
        }
        for one in found
    ]


def _ours(said: list[Said]) -> list[Any]:
    return [{"text": one.text, "words": one.words} for one in said]


def _compare(path: str, language: str, target: str) -> dict[str, Any]:
    model = NemoModel(Path(path), Opening(use_gpu=False))
    sounds = _sounds()
    task = Task(None if language == "-" else language, None if target == "-" else target)
    batch = [Utterance(sound.tobytes()) for sound in sounds]
    together = model.transcribe(batch, task)
    alone = [model.transcribe([one], task)[0] for one in batch]
    asked = {} if language == "-" else {"source_lang": language, "target_lang": task.target or language, "pnc": "yes"}
    if "-1b" in path:
        asked["task"] = "ast" if task.target else "asr"
    plain = _plain(path, sounds, asked, times=None if "-1b" in path or task.target else True)
    return {"ours": _ours(together), "alone": _ours(alone), "plain": plain}


if __name__ == "__main__":
    socket.socket.connect = _told  # type: ignore[method-assign, assignment]
    given = sys.argv[1:]
    cases = [_compare(*given[index : index + 3]) for index in range(0, len(given), 3)]
    json.dump({"cases": cases, "reached": _reached}, sys.stdout)
