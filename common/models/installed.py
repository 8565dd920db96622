"""The models of a service with one embedded engine: an entry of any other is refused at once, with the reason."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Generic

from common.errors import ApiError
from common.machine.resources import read_resources
from common.messages import Text, _
from common.models.catalogue import Catalogue, ModelEntry, load_catalogue
from common.models.registry import E, Registry, Selection
from common.models.selector import LocalMachine, Selector, Verdict, too_big


def not_installed(entry: ModelEntry) -> Text:
    """The reason shown for a model whose engine is absent."""
    return _(
        "Le moteur « %(engine)s » du modèle %(model)s n'est pas installé dans cet environnement.",
        engine=entry.engine or "?",
        model=entry.key,
    )


class EmbeddedLoader(ABC, Generic[E]):
    """Loads a service's embedded engine, made with the Python modules `parts`, which takes `need` bytes, measured."""

    parts: ClassVar[tuple[str, ...]]
    need: ClassVar[int]

    @abstractmethod
    def downloaded(self, entry: ModelEntry) -> bool:
        """See `Loader`."""

    @abstractmethod
    def open(self) -> E:
        """The engine."""

    def prepare(self) -> None:
        """Make what the engine is loaded from, where it does not come with the requirements. Raises `ApiError`."""

    def missing(self, entry: ModelEntry) -> Text | None:
        """Why the entry's engine can't run in this environment, or None."""
        here = entry.engine == "embedded" and all(find_spec(part) for part in self.parts)
        return None if here else not_installed(entry)

    def download(
        self,
        entry: ModelEntry,
        progress: Callable[[int, int], None],  # noqa: ARG002
        cancelled: Callable[[], bool],  # noqa: ARG002
    ) -> None:
        """See `Loader`. Nothing is fetched."""
        _refuse_other(entry)
        self.prepare()

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> E:  # noqa: ARG002
        """See `Loader`."""
        _refuse_other(entry)
        return self.open()

    def need_bytes(self, entry: ModelEntry) -> int | None:
        """See `Loader`."""
        return self.need if entry.engine == "embedded" else None

    def unfit(self, entry: ModelEntry, freed: int = 0) -> Text | None:
        """See `Loader`."""
        return too_big(entry.key, self.judge(entry, freed))

    def judge(self, entry: ModelEntry, freed: int = 0) -> Verdict:
        """Whether the engine is installed, and what it needs of the memory there is, with `freed` bytes more."""
        reason = self.missing(entry)
        if reason is not None:
            return Verdict(reason=reason)
        available = read_resources(use_gpu=False).memory_available + freed
        return Verdict(self.need_bytes(entry), available, how=Text(entry.engine or "?"))


class InstalledRegistry(Registry[E]):
    """Refuses at once an entry whose engine can't run here."""

    def __init__(self, catalogue: Catalogue, loader: EmbeddedLoader[E], selection: Selection) -> None:
        self._missing = loader.missing
        super().__init__(catalogue, loader, selection)

    def check(self, entry: ModelEntry) -> None:
        """Raises ApiError 501 engine_not_installed."""
        reason = self._missing(entry)
        if reason is not None:
            raise ApiError(501, "engine_not_installed", reason, "model")


def build_installed(variable: str, asked: str, models: Path, loader: EmbeddedLoader[E]) -> InstalledRegistry[E]:
    """The catalogue of the file `models`, and the model that `variable` (``ASR_MODEL``…) asks for, or with "auto" the
    best that is installed and fits.

    Raises `SettingsError` when there is none, or when it can't run here.
    """
    catalogue = load_catalogue(models)
    machine = LocalMachine(loader.judge, lambda entry: entry.embedded or loader.downloaded(entry))
    selection = Selector(variable, catalogue, machine).select(asked)
    return InstalledRegistry(catalogue, loader, selection)


def _refuse_other(entry: ModelEntry) -> None:
    if entry.engine != "embedded":
        raise ApiError(501, "engine_not_installed", not_installed(entry), "model")
