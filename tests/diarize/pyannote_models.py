"""``python pyannote_models.py FOLDER``, in pyannote's environment: two small pipelines with random weights.

They have the architectures, the files and the layouts of community-1 and of 3.1, and have learnt nothing: their turns
and their voices mean nothing. What they show is that the real code opens, runs and answers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pyannote.audio import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import WeSpeakerResNet34
from pyannote.audio.models.segmentation import PyanNet

COMMUNITY: dict[str, Any] = {
    "dependencies": {"pyannote.audio": "4.0.0"},
    "pipeline": {
        "name": "pyannote.audio.pipelines.SpeakerDiarization",
        "params": {
            "clustering": "VBxClustering",
            "segmentation": "$model/segmentation",
            "segmentation_batch_size": 32,
            "embedding": "$model/embedding",
            "embedding_batch_size": 32,
            "embedding_exclude_overlap": True,
            "plda": "$model/plda",
        },
    },
    "params": {
        "clustering": {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8},
        "segmentation": {"min_duration_off": 0.0},
    },
}
THREE_ONE: dict[str, Any] = {
    "version": "3.1.0",
    "pipeline": {
        "name": "pyannote.audio.pipelines.SpeakerDiarization",
        "params": {
            "clustering": "AgglomerativeClustering",
            "embedding": "pyannote/wespeaker-voxceleb-resnet34-LM",
            "embedding_batch_size": 32,
            "embedding_exclude_overlap": True,
            "segmentation": "pyannote/segmentation-3.0",
            "segmentation_batch_size": 32,
        },
    },
    "params": {
        "clustering": {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7045654963945799},
        "segmentation": {"min_duration_off": 0.0},
    },
}
SPEAKERS = Specifications(
    problem=Problem.MONO_LABEL_CLASSIFICATION,
    resolution=Resolution.FRAME,
    duration=10.0,
    classes=["speaker#1", "speaker#2", "speaker#3"],
    powerset_max_classes=2,
    permutation_invariant=True,
)
VOICE = Specifications(problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0)


def save(model: Model, path: Path) -> None:
    """As Lightning writes it, with what versions 3 and 4 of pyannote.audio add."""
    checkpoint: dict[str, Any] = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": model.state_dict(),
        "hparams_name": "kwargs",
        "hyper_parameters": dict(model.hparams),
    }
    model.on_save_checkpoint(checkpoint)
    checkpoint["pyannote.audio"]["versions"]["torch"] = torch.__version__
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, path)


def segmentation() -> Model:
    """A PyanNet whose opinion changes with what it hears, as a trained one's does."""
    torch.manual_seed(1)
    model = PyanNet(lstm={"hidden_size": 16, "num_layers": 1}, linear={"hidden_size": 16, "num_layers": 1})
    model.specifications = SPEAKERS
    model.setup()
    with torch.no_grad():
        model.eval()
        hidden = []
        model.classifier.register_forward_pre_hook(lambda _module, given: hidden.append(given[0]))
        model(torch.randn(4, 1, 160_000) * torch.rand(4, 1, 160).repeat_interleave(1000, dim=2))
        seen = hidden[0].flatten(0, 1)
        model.classifier.weight.mul_(4 / seen.std(0).mean())
        model.classifier.bias.copy_(-model.classifier.weight @ seen.mean(0))
        model.classifier.bias[4:] -= 2.0  # two at once: now and then
    return model


def embedding() -> Model:
    torch.manual_seed(2)
    model = WeSpeakerResNet34(num_mel_bins=8)
    model.specifications = VOICE
    return model


def save_plda(folder: Path, dimension: int = 256, kept: int = 128) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    turned, _triangle = np.linalg.qr(random.standard_normal((dimension, kept)))
    np.savez(folder / "xvec_transform.npz", mean1=np.zeros(dimension), mean2=np.zeros(kept), lda=turned)
    np.savez(folder / "plda.npz", mu=np.zeros(kept), tr=np.eye(kept), psi=np.linspace(8, 0.1, kept))


def main(folder: Path) -> None:
    heard, voice = segmentation(), embedding()
    community = folder / "pyannote" / "speaker-diarization-community-1"
    save(heard, community / "segmentation" / "pytorch_model.bin")
    save(voice, community / "embedding" / "pytorch_model.bin")
    save_plda(community / "plda")
    (community / "config.yaml").write_text(yaml.safe_dump(COMMUNITY), encoding="utf-8")
    three = folder / "pyannote" / "speaker-diarization-3.1"
    three.mkdir()
    (three / "config.yaml").write_text(yaml.safe_dump(THREE_ONE), encoding="utf-8")
    save(heard, folder / "pyannote" / "segmentation-3.0" / "pytorch_model.bin")
    save(voice, folder / "pyannote" / "wespeaker-voxceleb-resnet34-LM" / "pytorch_model.bin")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
