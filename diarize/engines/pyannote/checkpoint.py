"""Opens pyannote's checkpoints as data. Runs in the model's process.

A ``pytorch_model.bin`` is a pickle that names the class to import, and pyannote opens it as any pickle. Here torch's
restricted unpickler reads it, with the four classes that pyannote's own checkpoints hold (their task and the version
of torch, as inert data), and only the architectures listed below are built.
"""

from __future__ import annotations

import hashlib
import inspect
import pickle
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from pyannote.audio import Model
from pyannote.audio.core.plda import PLDA
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import (
    WeSpeakerResNet34,
    WeSpeakerResNet152,
    WeSpeakerResNet221,
    WeSpeakerResNet293,
)
from pyannote.audio.models.segmentation import PyanNet
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.torch_version import TorchVersion

from common.errors import ApiError
from common.messages import Text, _
from diarize.engines.pyannote.recipe import PLDA_FILES, WEIGHTS, unusable

SEGMENTATIONS = {PyanNet}
EMBEDDINGS = {WeSpeakerResNet34, WeSpeakerResNet152, WeSpeakerResNet221, WeSpeakerResNet293}
_SAFE = [Specifications, Problem, Resolution, TorchVersion]
_MODULES = ("pyannote.audio.models.segmentation", "pyannote.audio.models.embedding")
_PLDA_ARRAYS = (("mean1", "mean2", "lda"), ("mu", "tr", "psi"))
_MAX_NPZ_BYTES = 64 * 2**20


def open_model(folder: Path, kinds: Iterable[type[Model]]) -> Model:
    """The model in `folder`, one of `kinds`, in inference mode on the CPU. Raises `ApiError` 422 `model_unusable`."""
    said = _read(folder / WEIGHTS)
    kind = _architecture(said, {one.__name__: one for one in kinds})
    specifications, weights = said["pyannote.audio"].get("specifications"), said.get("state_dict")
    if not isinstance(specifications, Specifications) or not isinstance(weights, dict):
        raise _refused(folder, _("il n'a pas la forme d'un modèle pyannote"))
    known = inspect.signature(kind.__init__).parameters
    settings = said.get("hyper_parameters")
    settings = settings if isinstance(settings, dict) else {}
    try:
        model = kind(**{name: value for name, value in settings.items() if name in known and name != "task"})
        model.specifications = specifications
        model.setup()  # adds the layers that the task asks for
        model.load_state_dict({name: value for name, value in weights.items() if not name.startswith("loss_func.")})
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, AssertionError) as error:
        raise _refused(folder, _("ses poids ne sont pas ceux de son architecture")) from error
    return model.eval()


def open_plda(folder: Path) -> PLDA:
    """What compares voices for VBx. Raises `ApiError` 422 `model_unusable`."""
    files = [folder / name for name in PLDA_FILES]
    try:
        for file, names in zip(files, _PLDA_ARRAYS, strict=True):
            if file.stat().st_size > _MAX_NPZ_BYTES:
                raise ValueError(file.name)
            with np.load(file, allow_pickle=False) as arrays:
                found = [arrays[name] for name in names]
            if not all(isinstance(array, np.ndarray) and array.dtype.kind == "f" for array in found):
                raise ValueError(file.name)
        return PLDA(*files)  # reads them with numpy's default: no pickle
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error, np.linalg.LinAlgError) as error:
        raise unusable(_("le PLDA ne se lit pas comme des nombres")) from error


class NoPlda(PLDA):  # type: ignore[misc]  # pyannote has no types
    """Stands where SpeakerDiarization wants a PLDA that its clustering does not use: it would fetch one."""

    def __init__(self) -> None:
        pass


def fuse(encoder: Model) -> None:
    """Fold each normalisation of the encoder into the convolution before it, for inference: the same vectors (to
    1e-6), in about half of a CPU's time with channels last. Call `fingerprint` before."""
    for block in [module for module in encoder.modules() if hasattr(module, "bn1")]:
        for number in (1, 2, 3):
            _fold(block, f"conv{number}", f"bn{number}")
    for shortcut in [module.shortcut for module in encoder.modules() if hasattr(module, "shortcut")]:
        _fold(shortcut, "0", "1")


def _fold(block: torch.nn.Module, convolution: str, normalisation: str) -> None:
    before, after = getattr(block, convolution, None), getattr(block, normalisation, None)
    if isinstance(before, torch.nn.Conv2d) and isinstance(after, torch.nn.BatchNorm2d):
        setattr(block, convolution, fuse_conv_bn_eval(before, after))
        setattr(block, normalisation, torch.nn.Identity())


def fingerprint(model: Model) -> str:
    """Tells an encoder from another: its class and what its weights hash to."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return f"{type(model).__name__}:{digest.hexdigest()[:12]}"


def _read(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals(_SAFE):
            said = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except FileNotFoundError as error:
        raise _refused(path.parent, _("il manque")) from error
    except pickle.UnpicklingError as error:
        raise _refused(path.parent, _("il contient autre chose que des poids, et n'est pas ouvert")) from error
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _refused(path.parent, _("il ne se lit pas")) from error
    if not isinstance(said, dict) or not isinstance(said.get("pyannote.audio"), dict):
        raise _refused(path.parent, _("il n'a pas la forme d'un modèle pyannote"))
    return said


def _architecture(said: Mapping[str, Any], kinds: Mapping[str, type[Model]]) -> type[Model]:
    """The class that the checkpoint names, if it is one of `kinds`."""
    architecture = said["pyannote.audio"].get("architecture")
    named = architecture if isinstance(architecture, dict) else {}
    module, name = str(named.get("module", ""))[:200], str(named.get("class", ""))[:200]
    if name not in kinds or not any(module == one or module.startswith(f"{one}.") for one in _MODULES):
        raise unusable(
            _(
                "ses poids sont ceux de « %(kind)s » ; attendu : %(known)s",
                kind=f"{module}.{name}",
                known=", ".join(sorted(kinds)),
            )
        )
    return kinds[name]


def _refused(folder: Path, reason: Text) -> ApiError:
    return unusable(_("%(file)s : %(reason)s", file=f"{folder.name}/{WEIGHTS}", reason=reason))
