"""How gpt fetches, measures and opens its models: what the registry asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.errors import ApiError
from common.hub.hub import Hub, never
from common.machine.resources import Resources, read_resources
from common.messages import Text, _
from common.models.catalogue import ModelEntry
from common.models.selector import too_big
from gpt.adapters.shelf import Shelf
from gpt.choose import engine_for
from gpt.engines.classes import engine_class
from gpt.engines.forwarding import ForwardingEngine, GptEngine
from gpt.engines.options import EngineOptions, Quantization
from gpt.engines.process.client import ProcessEngine
from gpt.engines.remote.address import parse_address
from gpt.engines.remote.engine import RemoteEngine
from gpt.engines.vllm.command import VllmOptions
from gpt.engines.vllm.engine import VllmEngine
from gpt.fit import GptMachine
from gpt.folders import describe, folder_of
from gpt.settings import GptSettings

_PASSING = frozenset({"hub_unreachable", "hub_error", "hub_rate_limited"})  # a download has more patience


class GptLoader:
    """Loader of language models. `isolate` gives each engine a process of its own (tests may do without)."""

    def __init__(self, hub: Hub, settings: GptSettings, shelf: Shelf | None = None, *, isolate: bool = True) -> None:
        self._hub = hub
        self._settings = settings
        self._isolate = isolate
        self.shelf = shelf  # the adapters that models are opened with
        self._contexts: dict[str, int] = {}  # what other servers said of theirs
        spread = bool(settings.vllm_ray_address)
        self.machine = GptMachine(hub, self._resources, self._engine_of, settings.ia_quantization, spread=spread)

    def folder(self, entry: ModelEntry) -> Path | None:
        """Where the entry's files are, or None when they are not all here."""
        return folder_of(entry, self._hub)

    def context(self, entry: ModelEntry) -> int:
        """Tokens the model holds: what its server says, else its own files once they are here, else the catalogue; 0
        when unknown."""
        if served := self._contexts.get(entry.key):
            return served
        folder = self.folder(entry)
        facts = describe(folder) if folder is not None else None
        return facts.context if facts and facts.context else entry.context

    def downloaded(self, entry: ModelEntry) -> bool:
        """True when the files are here, whole, or on another server."""
        return entry.url is not None or self.folder(entry) is not None

    def download(
        self,
        entry: ModelEntry,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool] = never,
    ) -> None:
        """Fetch the files from the hub. Raises `ApiError` with the reason and the remedy."""
        if entry.hub_id is None:
            message = _("Le dossier du modèle %(model)s est absent ou incomplet.", model=entry.key)
            raise ApiError(422, "model_unusable", message, "model")
        self._check_size(entry)
        self._hub.download(entry.hub_id, entry.revision, progress, cancelled)

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> GptEngine:
        """Open the model with the engine that suits it; `options` are those of the load request."""
        if entry.url is not None:
            return self._served(entry, RemoteEngine(parse_address(entry.url), self._settings.ia_remote_api_key))
        folder = self.folder(entry)
        if folder is None:
            message = _("Les fichiers du modèle %(model)s sont absents ou incomplets.", model=entry.key)
            raise ApiError(422, "model_unusable", message, "model")
        engine = self.engine(entry, options.get("quantization"))
        if isinstance(engine, Text):
            raise ApiError(501, "engine_not_installed", engine, "model")
        opening = self._options(entry, options)
        if engine == "vllm":
            return self._served(entry, VllmEngine(entry.key, folder, opening, vllm_options(self._settings)))
        if not self._isolate:
            return engine_class(engine)(folder, opening)
        settings = self._settings
        return ProcessEngine(engine, folder, opening, log_level=settings.log_level, log_dir=settings.log_dir)

    def _served(self, entry: ModelEntry, engine: ForwardingEngine) -> ForwardingEngine:
        self._contexts[entry.key] = engine.context
        return engine

    def engine(self, entry: ModelEntry, quantization: Quantization | None = None) -> str | Text:
        """The name of the engine that opens `entry` now, or the reason why none here can; `quantization` replaces
        IA_QUANTIZATION."""
        plan = self.machine.plan(entry, quantization)
        if plan is None:
            asked = quantization or self._settings.ia_quantization
            return self._engine_of(entry, bool(self._resources().gpus), asked)
        return plan if isinstance(plan, Text) else plan.need.engine

    def _engine_of(self, entry: ModelEntry, cuda: bool, quantization: Quantization) -> str | Text:
        adapters = self.shelf is not None and self.shelf.wanted(entry.key)
        return engine_for(self._settings, entry, cuda=cuda, quantization=quantization, adapters=adapters)

    def _resources(self, devices: Sequence[int] | None = None) -> Resources:
        settings = self._settings
        ids = tuple(settings.gpu_device_ids if devices is None else devices)
        return read_resources(use_gpu=settings.ia_use_gpu, gpu_device_ids=ids)

    def _adapters(self, entry: ModelEntry) -> tuple[tuple[str, Path], ...]:
        return self.shelf.of(entry.key) if self.shelf is not None else ()

    def _options(self, entry: ModelEntry, asked: Mapping[str, Any]) -> EngineOptions:
        """What was asked for; what was not is as the memory there is allows."""
        settings = self._settings
        devices = tuple(asked.get("gpu_device_ids", settings.gpu_device_ids))
        quantization = asked.get("quantization", settings.ia_quantization)
        resources = self._resources(devices)
        if asked.get("gpu_device_ids") and (absent := sorted({*devices} - {gpu.index for gpu in resources.gpus})):
            message = _("Il n'y a pas de GPU %(numbers)s ici.", numbers=", ".join(map(str, absent)))
            raise ApiError(400, "invalid_value", message, "gpu_device_ids")
        plan = self.machine.plan(entry, quantization, resources)
        options = EngineOptions(
            use_gpu=settings.ia_use_gpu,
            quantization=quantization,
            gpu_device_ids=devices,
            adapters=self._adapters(entry),
        )
        if plan is None or isinstance(plan, Text):
            return options
        return replace(
            options,
            use_gpu=settings.ia_use_gpu and plan.need.cuda,
            quantization=self.machine.precision(entry, plan, quantization),
            context=self.machine.longest_prompt(entry, plan),
        )

    def need_bytes(self, entry: ModelEntry) -> int | None:
        """Weights at the loading precision, cache and runtime; None when nothing is known of the model."""
        return self.machine.judge(entry).need_bytes

    def unfit(self, entry: ModelEntry, freed: int = 0) -> Text | None:
        """Why this machine, with `freed` bytes more, cannot hold the model, or None."""
        return too_big(entry.key, self.machine.judge(entry, freed))

    def _check_size(self, entry: ModelEntry) -> None:
        """Ask the hub for the model's real size; one that is slow to tell may still give the files.

        Raises 507 `model_does_not_fit` for one that can't fit, before a byte of its weights, or the hub's refusal.
        """
        try:
            self.machine.learn(entry)
        except ApiError as error:
            if error.code not in _PASSING:
                raise
        verdict = self.machine.judge(entry)
        needed, available = verdict.need_bytes, verdict.available_bytes
        if needed is not None and available is not None and needed > max(self._resources().memory_limit, available):
            reason = too_big(entry.key, verdict)
            raise ApiError(507, "model_does_not_fit", reason or "", "model")


def vllm_options(settings: GptSettings) -> VllmOptions:
    """What the variables say of vLLM."""
    return VllmOptions(settings.vllm_python, settings.vllm_ray_address, settings.vllm_args)
