"""How gpt fetches, measures and opens its models: what the registry asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from common.errors import ApiError
from common.messages import Text, _
from common.models.catalogue import ModelEntry
from common.models.hub import Hub, never
from gpt.adapters.shelf import Shelf
from gpt.choose import has_vllm
from gpt.engines.choose import engine_class, engine_of
from gpt.engines.cpu import weight_bytes
from gpt.engines.forwarding import GptEngine
from gpt.engines.options import EngineOptions
from gpt.engines.process.client import ProcessEngine
from gpt.engines.remote.address import parse_address
from gpt.engines.remote.engine import RemoteEngine
from gpt.engines.vllm.command import VllmOptions
from gpt.engines.vllm.engine import VllmEngine
from gpt.folders import FolderFacts, describe, whole
from gpt.settings import GptSettings

RUNTIME_BYTES = 430 * 2**20  # the process with torch and transformers and nothing loaded (measured)
_KV_TOKENS = 4096  # tokens of cache counted in the estimate, or the context when it is shorter


class GptLoader:
    """Loader of language models. `isolate` gives each engine a process of its own (tests may do without)."""

    def __init__(self, hub: Hub, settings: GptSettings, shelf: Shelf | None = None, *, isolate: bool = True) -> None:
        self._hub = hub
        self._settings = settings
        self._isolate = isolate
        self.shelf = shelf  # the adapters that models are opened with

    def folder(self, entry: ModelEntry) -> Path | None:
        """Where the entry's files are, or None when they are not all here."""
        if entry.path is not None:
            return entry.path if whole(entry.path) else None
        found = self._hub.find(entry.hub_id, entry.revision) if entry.hub_id else None
        return found if found is not None and whole(found) else None

    def context(self, entry: ModelEntry) -> int:
        """Tokens the model holds: what its own files say once they are here, else the catalogue; 0 when unknown."""
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
        self._hub.download(entry.hub_id, entry.revision, progress, cancelled)

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> GptEngine:
        """Open the model with the engine that suits it; `options` are those of the load request."""
        if entry.url is not None:
            return RemoteEngine(parse_address(entry.url), self._settings.ia_remote_api_key)
        folder = self.folder(entry)
        if folder is None:
            message = _("Les fichiers du modèle %(model)s sont absents ou incomplets.", model=entry.key)
            raise ApiError(422, "model_unusable", message, "model")
        engine = self.engine(entry)
        if isinstance(engine, Text):
            raise ApiError(501, "engine_not_installed", engine, "model")
        opening = self._options(entry, options)
        if engine == "vllm":
            return VllmEngine(entry.key, folder, opening, vllm_options(self._settings))
        if not self._isolate:
            return engine_class(engine)(folder, opening)
        settings = self._settings
        return ProcessEngine(engine, folder, opening, log_level=settings.log_level, log_dir=settings.log_dir)

    def engine(self, entry: ModelEntry) -> str | Text:
        """The name of the engine that opens `entry`, or the reason why none here can."""
        settings = self._settings
        return engine_of(
            entry,
            asked=settings.ia_engine,
            cuda=False,
            adapters=self.shelf is not None and self.shelf.wanted(entry.key),
            has_vllm=has_vllm(settings, cuda=False),
        )

    def _adapters(self, entry: ModelEntry) -> tuple[tuple[str, Path], ...]:
        return self.shelf.of(entry.key) if self.shelf is not None else ()

    def _options(self, entry: ModelEntry, asked: Mapping[str, Any]) -> EngineOptions:
        settings = self._settings
        return EngineOptions(
            use_gpu=settings.ia_use_gpu,
            quantization=asked.get("quantization", settings.ia_quantization),
            gpu_device_ids=tuple(asked.get("gpu_device_ids", settings.gpu_device_ids)),
            adapters=self._adapters(entry),
        )

    def need_bytes(self, entry: ModelEntry) -> int | None:
        """Weights at the loading precision, cache and runtime; None when nothing is known of the model."""
        folder = self.folder(entry)
        facts = describe(folder) if folder is not None else None
        parameters = facts.parameters if facts else entry.parameters
        if not parameters:
            return None
        width = weight_bytes(parameters)
        return parameters * width + _cache_bytes(facts, parameters, width) + RUNTIME_BYTES

    def unfit(self, entry: ModelEntry, freed: int = 0) -> Text | None:
        """Why the machine's free memory, with `freed` bytes more, cannot hold the model, or None."""
        need = self.need_bytes(entry)
        available = psutil.virtual_memory().available + freed
        if need is None or need <= available:
            return None
        return _(
            "%(model)s demande environ %(need)s Go de mémoire, il en reste %(available)s.",
            model=entry.key,
            need=_gigabytes(need),
            available=_gigabytes(available),
        )


def vllm_options(settings: GptSettings) -> VllmOptions:
    """What the variables say of vLLM."""
    return VllmOptions(settings.vllm_python, settings.vllm_ray_address, settings.vllm_args)


def _cache_bytes(facts: FolderFacts | None, parameters: int, width: int) -> int:
    """Key-value cache of one full conversation; a tenth of the weights when the shape is not known yet."""
    if facts is None:
        return parameters * width // 10
    return facts.kv_values_per_token * width * min(facts.context or _KV_TOKENS, _KV_TOKENS)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f}".replace(".", ",")
