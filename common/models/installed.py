"""A registry that refuses at once, and says why, a model whose engine is not installed in this environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.errors import ApiError
from common.machine.resources import read_resources
from common.messages import Text, _
from common.models.catalogue import Catalogue, ModelEntry
from common.models.registry import E, Loader, Registry, Selection
from common.models.selector import LocalMachine, Selector, Verdict

Missing = Callable[[ModelEntry], Text | None]


def not_installed(entry: ModelEntry) -> Text:
    """The reason shown for a model whose engine is absent."""
    return _(
        "Le moteur « %(engine)s » du modèle %(model)s n'est pas installé dans cet environnement.",
        engine=entry.engine or "?",
        model=entry.key,
    )


def judge_installed(entry: ModelEntry, missing: Missing, loader: Loader[Any], freed: int = 0) -> Verdict:
    """Whether the entry's engine is installed, and what it needs of the memory there is, with `freed` bytes more."""
    reason = missing(entry)
    if reason is not None:
        return Verdict(reason=reason)
    available = read_resources(use_gpu=False).memory_available + freed
    return Verdict(loader.need_bytes(entry), available, how=Text(entry.engine or "?"))


def choose_installed(
    variable: str, asked: str, catalogue: Catalogue, missing: Missing, loader: Loader[Any]
) -> Selection:
    """The model that `variable` (``ASR_MODEL``…) asks for, or with "auto" the best that is installed and fits.

    Raises `SettingsError` when there is none, or when it can't run here.
    """
    machine = LocalMachine(
        lambda entry: judge_installed(entry, missing, loader),
        lambda entry: entry.embedded or loader.downloaded(entry),
    )
    return Selector(variable, catalogue, machine).select(asked)


class InstalledRegistry(Registry[E]):
    """`missing(entry)` gives the reason why an entry's engine can't run here, or None."""

    def __init__(
        self, catalogue: Catalogue, loader: Loader[E], selection: Selection, missing: Missing, **kwargs: Any
    ) -> None:
        self._missing = missing
        super().__init__(catalogue, loader, selection, **kwargs)

    def check(self, entry: ModelEntry) -> None:
        """Raises ApiError 501 engine_not_installed."""
        reason = self._missing(entry)
        if reason is not None:
            raise ApiError(501, "engine_not_installed", reason, "model")
