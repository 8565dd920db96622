"""What the engines whose models run in a process of their own have in common."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asr.engines.base import AsrEngine, Capabilities
from common.errors import ApiError
from common.messages import Text, _
from common.models.backends import HubBackend, Placement
from common.models.catalogue import ModelEntry
from common.models.installed import not_installed
from common.process.environments import python_with


class ProcessBackend(HubBackend[AsrEngine]):
    """An engine named after the library that it wants, whose class is in `asr.engines.process.classes`."""

    uses_gpu = True

    def missing(self) -> Text | None:
        """See `Backend`."""
        return None if python_with(self.name) is not None else not_installed(self.name)

    def check(self, entry: ModelEntry, path: Path) -> None:
        """Raise `ApiError` for files that the engine can't open, before a process is started to say so."""

    def languages(self, entry: ModelEntry, capabilities: Capabilities) -> frozenset[str]:
        """The languages of a loaded model: its own word, else the catalogue's."""
        return capabilities.languages or frozenset(entry.languages)

    def open(self, entry: ModelEntry, placement: Placement) -> AsrEngine:
        """See `Backend`. Raises 501 `engine_not_installed`, 422 `model_unusable`, and what the process says."""
        from asr.engines.process.client import ProcessEngine
        from asr.engines.process.spec import Opening

        path, python = self.path(entry), python_with(self.name)
        if python is None:
            raise ApiError(501, "engine_not_installed", not_installed(self.name), "model")
        if path is None:
            raise ApiError(422, "model_unusable", _("Les fichiers de %(model)s ne sont pas ici.", model=entry.key))
        self.check(entry, path)
        engine = ProcessEngine(
            self.name,
            path,
            Opening(placement.use_gpu, placement.gpu_device_ids),
            python=python,
            log_level=placement.log_level,
            log_dir=placement.log_dir,
        )
        languages = self.languages(entry, engine.capabilities)
        if not languages:
            engine.close()
            message = _("%(model)s ne dit pas quelles langues il connaît, et le catalogue non plus.", model=entry.key)
            raise ApiError(422, "model_unusable", message, "model")
        pairs = frozenset(pair for pair in engine.capabilities.translations if languages.issuperset(pair))
        engine.capabilities = replace(engine.capabilities, languages=languages, translations=pairs)
        return engine
