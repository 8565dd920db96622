"""``python pyannote_checks.py FOLDER``, in pyannote's environment: what the model's process does, told in JSON.

One process for all of it, because importing pyannote takes seconds. Nothing may reach the network: whoever tries is
told of. The pipelines of `pyannote_models` are left in FOLDER.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "PYANNOTE_METRICS_ENABLED": "0"}  # as the host does

import numpy as np
import torch
from pyannote.audio.pipelines.speaker_diarization import SpeakerDiarization

from common.errors import ApiError
from diarize.engines.pyannote.checkpoint import EMBEDDINGS, SEGMENTATIONS, open_model, open_plda
from diarize.engines.pyannote.model import PyannoteModel
from diarize.engines.pyannote.pipeline import BoundedVBx, Turnstile
from diarize.engines.pyannote.recipe import EMBEDDING, read_recipe
from diarize.engines.pyannote.spec import Job, Recording, Said, Spec
from tests.diarize import pyannote_models

RATE = 16_000
MARK = Path("executed")


class Shell:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, (f"touch {MARK}",)


def refusals(folder: Path) -> dict[str, str]:
    """What each hostile or broken file is refused with."""
    community = folder / "pyannote" / "speaker-diarization-community-1"
    good = torch.load(community / "segmentation" / "pytorch_model.bin", weights_only=False)
    files: dict[str, Any] = {
        "shell": {"state_dict": Shell(), "pyannote.audio": {}},
        "class": {**good, "pyannote.audio": {**good["pyannote.audio"], "architecture": named("subprocess", "Popen")}},
        "module": {**good, "pyannote.audio": {**good["pyannote.audio"], "architecture": named("evil", "PyanNet")}},
        "no-form": {"weights": torch.zeros(3)},
        "other-shape": {**good, "hyper_parameters": {"lstm": {"hidden_size": 3}}},
        "no-task": {**good, "pyannote.audio": {**good["pyannote.audio"], "specifications": {}}},
    }
    said = {}
    for name, content in files.items():
        place = folder / "hostile" / name
        place.mkdir(parents=True)
        torch.save(content, place / "pytorch_model.bin")
        said[name] = refusal(lambda place=place: open_model(place, SEGMENTATIONS))
    place = folder / "hostile" / "bytes"
    place.mkdir()
    for name, data in {
        "old-pickle": pickle.dumps(Shell()),
        "cut": (community / "segmentation" / "pytorch_model.bin").read_bytes()[:50_000],
        "empty": b"",
        "text": b"hello",
    }.items():
        (place / "pytorch_model.bin").write_bytes(data)
        said[name] = refusal(lambda: open_model(place, SEGMENTATIONS))
    said["absent"] = refusal(lambda: open_model(folder, SEGMENTATIONS))
    said["encoder-as-segmentation"] = refusal(lambda: open_model(community / "embedding", SEGMENTATIONS))
    said["segmentation-as-encoder"] = refusal(lambda: open_model(community / "segmentation", EMBEDDINGS))
    return said | plda_refusals(folder, community / "plda")


def plda_refusals(folder: Path, good: Path) -> dict[str, str]:
    said = {}
    for name in ("objects", "cut", "words", "absent", "zip"):
        place = folder / "hostile" / f"plda-{name}"
        shutil.copytree(good, place)
        file = place / "plda.npz"
        if name == "objects":
            np.savez(file, mu=np.array([Shell()], dtype=object), tr=np.eye(2), psi=np.ones(2))
        elif name == "cut":
            file.write_bytes(file.read_bytes()[:3000])
        elif name == "words":
            np.savez(file, mu=np.array(["a"]), tr=np.eye(2), psi=np.ones(2))
        elif name == "zip":
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("mu.npy", b"not an array")
        else:
            file.unlink()
        said[f"plda-{name}"] = refusal(lambda place=place: open_plda(place))
    return said


def named(module: str, name: str) -> dict[str, str]:
    return {"module": module, "class": name}


def refusal(work: Any) -> str:
    try:
        work()
    except ApiError as error:
        return f"{error.status} {error.code} {error.message}"
    return "opened"


def opened(folder: Path, name: str) -> PyannoteModel:
    path = folder / "pyannote" / name
    recipe = read_recipe(path)
    parts = {
        part: path / place.folder if place.folder else folder / place.repository
        for part, place in (
            ("segmentation", recipe.segmentation),
            ("embedding", recipe.embedding),
            ("plda", recipe.plda),
        )
        if place is not None
    }
    return PyannoteModel(Spec(recipe, parts["segmentation"], parts["embedding"], parts.get("plda")))


def recording(folder: Path, seconds: float, seed: int = 0) -> Recording:
    """Noise that changes its colour and its level, in a file that the model takes away."""
    random = np.random.default_rng(seed)
    samples = random.standard_normal(int(seconds * RATE)).astype(np.float32) * 0.1
    for start in range(0, samples.size, RATE):
        samples[start : start + RATE] = np.convolve(samples[start : start + RATE], random.random(40), "same")
    path = folder / f"{seed}.f32"
    samples.tofile(path)
    return Recording(path, samples.size)


def told(said: Said) -> dict[str, Any]:
    return {
        "turns": said.turns,
        "exclusive": said.exclusive,
        "voices": {key: np.frombuffer(raw, np.float32).tolist() for key, raw in said.voices.items()},
    }


def difference(model: PyannoteModel, folder: Path) -> float:
    """The largest difference between pyannote's own embeddings and ours, in fewer and quicker passes."""
    taken = recording(folder, 13.0, seed=4)
    waveform = torch.from_numpy(np.fromfile(taken.path, np.float32))[None]
    taken.path.unlink()
    file = {"waveform": waveform, "sample_rate": RATE, "uri": "x"}
    pipeline = model._pipeline
    windows = pipeline.get_segmentations(file)
    windows.data[1] = 0  # nobody
    windows.data[2, :, 1] = 0
    ours = pipeline.get_embeddings(file, windows, exclude_overlap=True)
    pipeline._embedding.model_ = open_model(folder / EMBEDDING, EMBEDDINGS)  # as pyannote runs it
    theirs = SpeakerDiarization.get_embeddings(pipeline, file, windows, exclude_overlap=True)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def main(folder: Path) -> dict[str, Any]:
    os.chdir(folder)
    pyannote_models.main(folder)
    tried: list[str] = []
    socket.socket.connect = lambda _self, address: tried.append(str(address))  # type: ignore[assignment,method-assign]
    community, three = opened(folder, "speaker-diarization-community-1"), opened(folder, "speaker-diarization-3.1")
    shares: list[float] = []
    taken = recording(folder, 14.0)
    found: dict[str, Any] = {"free": told(community.diarize(Job(taken), lambda step: shares.append(step.share)))}
    for least, most in ((1, 1), (2, 2), (3, 4)):
        said = community.diarize(Job(recording(folder, 12.0), least, most), lambda _step: None)
        found[f"{least}-{most}"] = told(said)
    found["3.1"] = told(three.diarize(Job(recording(folder, 12.0), 2, 2), lambda _step: None))
    found["short"] = told(community.diarize(Job(recording(folder, 1.5), 9, 9), lambda _step: None))
    found["nothing"] = told(community.diarize(Job(recording(folder, 0.0)), lambda _step: None))
    voices = [np.frombuffer(community.embed(recording(folder, 10.5, seed)) or b"", np.float32) for seed in (5, 5, 6)]
    community._pipeline._segmentation.conversion = Nobody()
    found["nobody"] = told(community.diarize(Job(recording(folder, 10.0)), lambda _step: None))
    return {
        "found": found,
        "shares": shares,
        "left": [path.name for path in folder.glob("*.f32")],
        "space": [community.facts.space, three.facts.space],
        "difference": difference(three, folder),
        "voices": [voice.tolist() for voice in voices],
        "no-voice": community.embed(recording(folder, 10.0)),
        "bounded": isinstance(community._pipeline.clustering, BoundedVBx),
        "order": order(),
        "refusals": refusals(folder),
        "executed": MARK.exists(),
        "network": tried,
    }


class Nobody(torch.nn.Module):
    """A segmentation that hears nobody."""

    def forward(self, found: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*found.shape[:2], 3)


def order() -> list[int]:
    """Who passes a turnstile, asked for in the order of their numbers while it is held."""
    gate, passed = Turnstile(), []
    threads = []
    with gate.turn():
        for number in range(5):
            thread = threading.Thread(target=lambda number=number: passes(gate, passed, number))
            thread.start()
            threads.append(thread)
            while len(gate._waiting) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join(30)
    return passed


def passes(gate: Turnstile, passed: list[int], number: int) -> None:
    with gate.turn():
        passed.append(number)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
