"""Opens a speech model's folder: safetensors only, no code of the folder's, nothing fetched."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch starts OpenMP: two engines on the same cores

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoFeatureExtractor, AutoTokenizer

from asr.engines.process.spec import Opening, Utterance
from asr.engines.transformers.footprint import ACTIVATION_BYTES, weight_bytes
from common.errors import ApiError
from common.machine.resources import usable_cpus
from common.messages import _
from common.models.footprint import read_folder

RATE = 16_000
_CPU_BATCH_SECONDS = 80.0  # two long chunks: more gains nothing on a CPU, and a request waits for the whole batch
_GPU_BATCH_SECONDS = (40.0, 640.0)
_SILENCE = 1e-4  # root mean square, -80 dB of full scale: what a muted track holds, and no voice
transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()


@dataclass(frozen=True)
class Loaded:
    """A model in memory with what goes with it; `features` makes the model's inputs of samples."""

    model: Any
    tokenizer: Any
    features: Any
    device: torch.device
    dtype: torch.dtype
    batch_seconds: float

    def text(self, ids: list[int]) -> str:
        """What token ids say, special tokens left out."""
        return str(self.tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=True))

    def token(self, written: str) -> int:
        """The id of a special token. Raises `ApiError` 422 `model_unusable` when the vocabulary lacks it."""
        found = self.tokenizer.get_vocab().get(written)
        if found is None:
            raise unusable(_("son vocabulaire n'a pas « %(token)s »", token=written))
        return int(found)


def unusable(reason: Any) -> ApiError:
    """The 422 for a folder that can't be served."""
    return ApiError(
        422, "model_unusable", _("Ce modèle de parole n'a pas pu être chargé : %(reason)s.", reason=reason), "model"
    )


def load(folder: Path, opening: Opening, kind: Any) -> Loaded:
    """`kind` is the transformers class of the model. Raises `ApiError` 422 with the reason, or MemoryError."""
    if not any(folder.glob("*.safetensors")):
        message = _("Ce modèle n'a pas de poids au format safetensors, seul format accepté.")
        raise ApiError(422, "no_safetensors", message, "model")
    torch.set_num_threads(opening.threads or usable_cpus())
    device = _device(opening)
    facts = read_folder(folder)
    dtype = _dtype(facts.parameters if facts else 0, device)
    safely: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **safely)
        features = AutoFeatureExtractor.from_pretrained(folder, **safely)
        model, loading = kind.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            attn_implementation="sdpa",
            **safely,
        )
    except (ValueError, TypeError, KeyError, OSError, ImportError, RuntimeError, SafetensorError) as error:
        raise unusable(_reason(error, folder)) from error
    if missing := sorted(loading["missing_keys"]):  # transformers would fill them with noise and only warn
        raise unusable(_("il manque %(names)s", names=", ".join(missing[:3])))
    model = _placed(model.eval(), device)
    return Loaded(model, tokenizer, features, device, dtype, _batch_seconds(device))


def samples_of(utterance: Utterance) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Mono float32 at 16 kHz."""
    return np.frombuffer(utterance.pcm, dtype=np.float32)


def is_silent(utterance: Utterance) -> bool:
    """True when there is nothing to read: a model asked to write something would make it up."""
    samples = samples_of(utterance)
    return not samples.size or float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) < _SILENCE


def padded(utterance: Utterance, seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The samples, with silence after them up to `seconds`."""
    samples = samples_of(utterance)
    lacking = int(seconds * RATE) - samples.size
    return np.pad(samples, (0, lacking)) if lacking > 0 else samples.copy()


def _device(opening: Opening) -> torch.device:
    if not opening.use_gpu or not torch.cuda.is_available():
        return torch.device("cpu")
    # The process sees only the GPUs that it may use (`asr.engines.process.client`): the emptiest of them.
    devices = range(torch.cuda.device_count())
    return torch.device("cuda", max(devices, key=lambda index: torch.cuda.mem_get_info(index)[0]))


def _placed(model: Any, device: torch.device) -> Any:
    """The model on its device. (`device_map` would need accelerate.) Raises MemoryError."""
    try:
        return model.to(device)
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryError(str(error)) from error


def _dtype(parameters: int, device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if weight_bytes(parameters) == 2 else torch.float32


def _batch_seconds(device: torch.device) -> float:
    """Sound decoded at once: a quarter of the GPU's free memory for what it takes."""
    if device.type == "cpu":
        return _CPU_BATCH_SECONDS
    least, most = _GPU_BATCH_SECONDS
    return float(min(most, max(least, torch.cuda.mem_get_info(device)[0] / 4 / ACTIVATION_BYTES)))


def _reason(error: Exception, folder: Path) -> str:
    """The error's first line, without where the folder is."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].replace(str(folder), folder.name)[:300]
