"""The GPUs that variables ask for."""

from __future__ import annotations

import logging
import os

from common.hub.settings import HubSettings
from common.machine.gpus import read_gpus
from common.settings import SettingsError

_NONE_ASKED = {"", "none", "void"}
_log = logging.getLogger("frigo.models")


def refuse_absent_gpus(settings: HubSettings) -> None:
    """Raise `SettingsError` when GPU_DEVICE_IDS names a GPU that is not here: its work would silently fall to the
    CPU."""
    if not settings.ia_use_gpu or not settings.gpu_device_ids:
        return
    here = [gpu.index for gpu in read_gpus()]
    if absent := [number for number in settings.gpu_device_ids if number not in here]:
        there = f"il y a {', '.join(map(str, here))}" if here else "cette machine n'en montre aucun"
        raise SettingsError(
            f"GPU_DEVICE_IDS : pas de GPU {', '.join(map(str, absent))} ; {there} (IA_USE_GPU=false s'en passe)."
        )


def tell_absent_gpus(settings: HubSettings) -> None:
    """Say in the log that an image made for a GPU sees none: its work does fall to the CPU, which still serves."""
    asked = os.environ.get("NVIDIA_VISIBLE_DEVICES", "")
    if settings.ia_use_gpu and asked not in _NONE_ASKED and not read_gpus():
        reason = (
            "L'image est faite pour un GPU NVIDIA et n'en voit aucun : les modèles tournent sur le processeur. "
            "Il faut « docker run --gpus all » et le « container toolkit » de NVIDIA sur la machine ; "
            "IA_USE_GPU=false s'en passe."
        )
        _log.warning("no GPU is visible", extra={"reason": reason})
