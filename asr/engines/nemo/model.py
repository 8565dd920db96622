"""NeMo's speech models behind `SpeechModel`: Canary, Parakeet and their kin, in a process of their own.

The model is what `archive`, `config` and `restore` let through, each of which says what it trusts. In short: a
`.nemo` file is data. No pickle in it is executed beyond torch's `weights_only` reading of tensors, and its
configuration can call nothing but the classes that `config.TARGETS` lists.
"""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import torch

from asr.engines.base import Task
from asr.engines.nemo.acoustic import Acoustic
from asr.engines.nemo.archive import TIMES_WEIGHTS, open_model
from asr.engines.nemo.canary import Canary
from asr.engines.nemo.restore import import_nemo, read_configs, restore
from asr.engines.nemo.words import timed
from asr.engines.process.spec import Facts, Opening, Said, Utterance
from common.audio.decode import SPEECH_RATE
from common.errors import ApiError
from common.messages import _

SHORTEST_SECONDS = 1.0  # NeMo surrounds what is shorter with silence
MAX_CHUNK_SECONDS = 40.0  # what Canary was trained on
BATCH_SECONDS_CPU = 80.0
BATCH_SECONDS_GPU = 640.0
_log = logging.getLogger("frigo.asr")


class NemoModel:
    """Opens the `.nemo` file or unpacked folder at `path`. Raises ApiError 422 `model_unusable`, 507."""

    def __init__(self, path: Path, opening: Opening) -> None:
        folder = open_model(path)
        main, times = read_configs(folder)  # refused before NeMo is imported, let alone given anything
        if opening.threads:
            torch.set_num_threads(opening.threads)
        import_nemo()
        self._device = torch.device("cuda" if opening.use_gpu and torch.cuda.is_available() else "cpu")
        gpu = self._device.type == "cuda"
        model = _place(restore(folder, main), self._device)
        self._reader: Canary | Acoustic
        if main.kind == "canary":
            second = None if times is None else _place(restore(folder, times, TIMES_WEIGHTS), self._device)
            self._reader = Canary(model, second)
        else:
            self._reader = Acoustic(model)
        self.facts = Facts(
            name="nemo",
            capabilities=self._reader.capabilities,
            max_chunk_seconds=MAX_CHUNK_SECONDS,
            batch_seconds=BATCH_SECONDS_GPU if gpu else BATCH_SECONDS_CPU,
        )
        _log.info("nemo model ready", extra={"kind": main.model, "device": str(self._device), "times": bool(times)})

    def transcribe(self, batch: list[Utterance], task: Task) -> list[Said]:
        """See `SpeechModel`. Raises ApiError 400 for a language, 507 `out_of_memory`."""
        sounds, shifts = zip(*(_padded(utterance) for utterance in batch), strict=True)
        try:
            read = self._reader.read(list(sounds), task)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise ApiError(507, "out_of_memory", _("La mémoire du GPU a manqué.")) from error
        frame = self._reader.frame_seconds
        return [
            Said(timed(one.words, frame, shift, utterance.seconds), one.text)
            for one, shift, utterance in zip(read, shifts, batch, strict=True)
        ]

    def close(self) -> None:
        """Nothing to release: the process ends."""


def _padded(utterance: Utterance) -> tuple[torch.Tensor, float]:
    """The sound, a second long at least, and by how many seconds silence delays it."""
    sound = torch.frombuffer(bytearray(utterance.pcm), dtype=torch.float32)
    missing = int(SHORTEST_SECONDS * SPEECH_RATE) - sound.numel()
    if missing <= 0:
        return sound, 0.0
    before = missing // 2
    return torch.nn.functional.pad(sound, (before, missing - before)), before / SPEECH_RATE


def _place(model: Any, device: torch.device) -> Any:
    """On a GPU in 16 bits, but for the spectrogram, which loses too much in them; on a CPU as it is, in 32."""
    if device.type == "cpu":
        return model
    spectrogram = copy.deepcopy(model.preprocessor.featurizer)
    model.to(device, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)
    model.preprocessor.featurizer = spectrogram.to(device)
    return model
