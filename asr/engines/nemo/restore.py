"""Builds a NeMo model from its folder, unpickling nothing: what NeMo's own `restore_from` does, with every door shut.

NeMo's class is called with a configuration that `config` has checked; weights are read with torch's `weights_only`
unpickler, which knows tensors and nothing else, whatever the environment says; they must all be there and no other.
The second model of Canary-1b-v2, which gives the times of words, is built in the same way.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from asr.engines.nemo.archive import CONFIG, TIMES_CONFIG, TIMES_WEIGHTS, WEIGHTS, unusable
from asr.engines.nemo.config import Configuration, read_config
from common.messages import _

_log = logging.getLogger("frigo.asr")


def read_configs(folder: Path) -> tuple[Configuration, Configuration | None]:
    """The configuration of the model in `folder`, and that of its times model, if any. Raises `ApiError`."""
    times = (folder / TIMES_CONFIG).is_file() and (folder / TIMES_WEIGHTS).is_file()
    return read_config(folder, CONFIG), read_config(folder, TIMES_CONFIG) if times else None


def restore(folder: Path, configuration: Configuration, weights: str = WEIGHTS) -> Any:
    """The model in `folder`, in float32 on the CPU, ready to recognise. Raises `ApiError` 422 `model_unusable`."""
    from nemo.collections.asr import models
    from nemo.utils.app_state import AppState
    from omegaconf import OmegaConf

    kind = getattr(models, configuration.model)
    state = AppState()
    state.model_restore_path = str(folder)
    kind._set_model_restore_state(is_being_restored=True, folder=str(folder))
    try:
        with _empty_weights():
            model = kind(cfg=OmegaConf.create(configuration.tree), trainer=None)
        model.load_state_dict(_weights(folder / weights), strict=True)
    except (KeyError, ValueError, TypeError, AttributeError, AssertionError, RuntimeError, FileNotFoundError) as error:
        _log.warning("a NeMo model does not open", exc_info=error)
        raise unusable(_("sa configuration, ses poids et ses fichiers ne vont pas ensemble")) from error
    finally:
        kind._set_model_restore_state(is_being_restored=False)
    return model.eval().requires_grad_(False)


def _weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        # mmap: read as they are copied, so that they are not in memory twice
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        _log.warning("weights refused", exc_info=error)
        raise unusable(_("ses poids ne sont pas de simples tenseurs")) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise unusable(_("son archive est abîmée")) from error  # torch looks for what is before the file's beginning
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise unusable(_("ses poids ne sont pas de simples tenseurs"))
    return state


@contextlib.contextmanager
def _empty_weights() -> Iterator[None]:
    """Leave weights as they come: random numbers that the file's replace take longer to draw than to read."""
    names = [name for name in vars(torch.nn.init) if name.endswith("_") and not name.startswith("_")]
    kept = {name: getattr(torch.nn.init, name) for name in names}

    def same(tensor: torch.Tensor, *_args: Any, **_options: Any) -> torch.Tensor:
        return tensor

    try:
        for name in names:
            setattr(torch.nn.init, name, same)
        yield
    finally:
        for name, function in kept.items():
            setattr(torch.nn.init, name, function)


def import_nemo() -> None:
    """Import NeMo without its logs, its progress bars and its telemetry. Nothing of it reaches the network."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    warnings.filterwarnings("ignore")
    from nemo.lightning.callback_group import CallbackGroup

    # OneLogger, NVIDIA's telemetry of trainings: no callback, so nothing is told to anyone
    CallbackGroup.get_instance()._callbacks = []
    from nemo.collections.asr import models  # noqa: F401
    from nemo.utils import logging as nemo_logging

    nemo_logging.set_verbosity(nemo_logging.ERROR)
    for name in ("nemo_logger", "lightning", "lightning.pytorch", "pytorch_lightning", "nv_one_logger", "hydra"):
        logging.getLogger(name).setLevel(logging.ERROR)
