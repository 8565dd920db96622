"""The GPUs that variables ask for."""

from __future__ import annotations

from common.hub.settings import HubSettings
from common.machine.gpus import read_gpus
from common.settings import SettingsError


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
