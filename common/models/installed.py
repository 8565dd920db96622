"""A registry that refuses at once, and says why, a model whose engine is not installed in this environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.errors import ApiError
from common.messages import Text, _
from common.models.catalogue import Catalogue, ModelEntry
from common.models.registry import E, Loader, Registry, Selection
from common.settings import SettingsError

Missing = Callable[[ModelEntry], Text | None]


def not_installed(entry: ModelEntry) -> Text:
    """The reason shown for a model whose engine is absent."""
    return _(
        "Le moteur « %(engine)s » du modèle %(model)s n'est pas installé dans cet environnement.",
        engine=entry.engine or "?",
        model=entry.key,
    )


def choose_installed(variable: str, asked: str, catalogue: Catalogue, missing: Missing, *, kind: str) -> Selection:
    """The model that `variable` (``ASR_MODEL``…) asks for, or with "auto" the first whose engine is installed.

    `kind` names the engines for a reader. Raises `SettingsError` when there is none, or when it can't run here.
    """
    if asked.lower() != "auto":
        entry = catalogue.find(asked)
        if entry is None:
            known = ", ".join(catalogue.entries)
            raise SettingsError(f"{variable} : modèle inconnu « {asked} » ; connus : {known}, auto.")
        reason = missing(entry)
        if reason is not None:
            raise SettingsError(f"{variable} : {reason}")
        return Selection(chosen=entry.key, why=_("Demandé par %(variable)s.", variable=variable))
    reasons = [(entry, missing(entry)) for entry in catalogue]
    usable = [entry.key for entry, reason in reasons if reason is None]
    if not usable:
        raise SettingsError(f"{variable} : aucun moteur de {kind} n'est installé.")
    rejected = tuple(
        {"key": entry.key, "need_bytes": None, "reason": str(reason)} for entry, reason in reasons if reason is not None
    )
    return Selection(chosen=usable[0], why=_("Le meilleur dont le moteur est installé."), rejected=rejected)


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
