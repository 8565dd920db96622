"""Which model gpt starts with: what IA_MODEL says, obeyed or refused, never replaced in silence; else the best.

``python -m gpt.choose`` shows the decision without starting anything (`gpt.choose_table`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from common.hub.hub import Hub
from common.hub.settings import create_hub
from common.machine.resources import Resources, read_resources
from common.messages import Text
from common.models import asked_gpus
from common.models.catalogue import Catalogue, ModelEntry, load_catalogue
from common.models.contract import Selection
from common.models.hub_registry import outsider
from common.models.selector import Selector
from common.settings import SettingsError
from gpt.engines.choose import engine_of
from gpt.engines.nanochat.layout import NANOCHAT, is_nanochat
from gpt.engines.options import Quantization
from gpt.engines.remote.address import AddressError, is_address, parse_address
from gpt.engines.vllm.installed import available
from gpt.fit import GptMachine
from gpt.folders import describe, refusal
from gpt.settings import GptSettings

EMBEDDED = "frigo-mini"
CATALOGUE = Path(__file__).with_name("models.toml")
_ROOT = Path(__file__).resolve().parent.parent


def load_models() -> Catalogue:
    """models.toml, with what only the shipped folders can tell (parameters, context)."""
    entries = []
    for entry in load_catalogue(CATALOGUE):
        if entry.path is not None:
            folder = entry.path if entry.path.is_absolute() else _ROOT / entry.path
            known = describe(folder)
            facts = {"parameters": known.parameters, "context": known.context, "family": known.family} if known else {}
            entry = entry.model_copy(update={"path": folder, **facts})
        entries.append(entry)
    return Catalogue(entries)


def create_machine(
    settings: GptSettings,
    hub: Hub | None = None,
    resources: Callable[[], Resources] | None = None,
    kind: type[GptMachine] = GptMachine,
) -> GptMachine:
    """What fits here, as the settings allow; `resources` replaces what this machine has."""
    devices = tuple(settings.gpu_device_ids)
    return kind(
        hub or create_hub(settings),
        resources or (lambda: read_resources(use_gpu=settings.ia_use_gpu, gpu_device_ids=devices)),
        lambda entry, cuda, quantization: engine_for(
            settings, entry, cuda=cuda, quantization=quantization, adapters=bool(settings.ia_adapters)
        ),
        settings.ia_quantization,
    )


def refuse_absent_gpus(settings: GptSettings) -> None:
    """Raise `SettingsError` when GPU_DEVICE_IDS names a GPU that is not here: its work would silently fall to the
    CPU. Those of a Ray cluster are not this machine's to know."""
    if not settings.vllm_ray_address:
        asked_gpus.refuse_absent_gpus(settings)


def engine_for(
    settings: GptSettings, entry: ModelEntry, *, cuda: bool, quantization: Quantization, adapters: bool
) -> str | Text:
    """The engine that would open `entry`, with `adapters` or without, or the reason why none here can."""
    return engine_of(
        entry,
        asked=settings.ia_engine,
        cuda=cuda,
        adapters=adapters,
        quantization=quantization,
        has_vllm=has_vllm(settings, cuda=cuda),
    )


def has_vllm(settings: GptSettings, *, cuda: bool) -> bool:
    """Whether vLLM could be the engine: its interpreter is asked, which takes seconds, only when that matters."""
    wanted = settings.ia_engine == "vllm" or (settings.ia_engine == "auto" and cuda)
    return wanted and available(settings.vllm_python) is not None


def choose(settings: GptSettings, catalogue: Catalogue, machine: GptMachine | None = None) -> Selection:
    """The model to start with; one that the catalogue lacks (hub id, folder, server) is added to it.

    Raises `SettingsError` when IA_MODEL names nothing, or something that can't be had here.
    """
    hub = create_hub(settings)
    machine = machine or create_machine(settings, hub)
    has_token = hub.current_token() is not None
    selector = Selector(
        "IA_MODEL", catalogue, machine, offline=settings.hf_hub_offline, has_token=has_token, servers=True
    )
    return selector.select(settings.ia_model, lambda name: outside(name, catalogue))


def outside(name: str, catalogue: Catalogue) -> ModelEntry | None:
    """An entry for a local folder, a hub id or a server that the catalogue does not list; None for anything else.

    Raises `SettingsError` for a folder that holds no model, or an address that names none.
    """
    if is_address(name):
        return _remote(name, catalogue)
    folder = Path(name).expanduser()
    if folder.is_dir() or is_nanochat(folder):  # a nanochat folder may be followed by a choice: folder#sft/d20
        return _local(folder.resolve(), catalogue)
    return outsider(name)


def _local(folder: Path, catalogue: Catalogue) -> ModelEntry:
    known = describe(folder)
    if known is None and (reason := refusal(folder)) is not None:
        raise SettingsError(f"IA_MODEL : {reason}")
    if known is None:
        raise SettingsError(
            "IA_MODEL : ce dossier n'a ni config.json lisible et ses poids, ni point de contrôle nanochat "
            "(model_*.pt et meta_*.json)."
        )
    return ModelEntry(
        key=_free(folder.name, "local", catalogue),
        family=known.family,
        parameters=known.parameters,
        context=known.context,
        licence="",
        vision=known.vision,
        engine=NANOCHAT if known.family == NANOCHAT else None,
        path=folder,
    )


def _remote(name: str, catalogue: Catalogue) -> ModelEntry:
    try:
        address = parse_address(name)
    except AddressError as error:
        raise SettingsError(f"IA_MODEL : {error.reason}") from None
    return ModelEntry(
        key=_free(address.key, "remote", catalogue),
        family="",
        parameters=0,
        licence="",
        engine="remote",
        url=str(address),
    )


def _free(key: str, prefix: str, catalogue: Catalogue) -> str:
    """`key`, unless the catalogue has a model of that name."""
    return key if catalogue.find(key) is None else f"{prefix}/{key}"


if __name__ == "__main__":
    from gpt.choose_table import main

    sys.exit(main())
