"""Which model gpt starts with: what IA_MODEL says, obeyed or refused, never replaced in silence."""

from __future__ import annotations

import re
from pathlib import Path

from common.messages import _
from common.models.catalogue import Catalogue, ModelEntry, load_catalogue
from common.models.registry import Selection
from common.settings import SettingsError
from gpt.folders import describe
from gpt.settings import GptSettings

EMBEDDED = "frigo-mini"
ENGINE = "transformers"  # the only one so far; it opens every family of the catalogue
CATALOGUE = Path(__file__).with_name("models.toml")
_ROOT = Path(__file__).resolve().parent.parent
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def load_models() -> Catalogue:
    """models.toml, with what only the shipped folders can tell (parameters, context)."""
    entries = []
    for entry in load_catalogue(CATALOGUE):
        if entry.path is not None:
            folder = entry.path if entry.path.is_absolute() else _ROOT / entry.path
            known = describe(folder)
            facts = {"parameters": known.parameters, "context": known.context, "family": known.family} if known else {}
            entry = entry.model_copy(update={"path": folder, **facts})
        entries.append(entry.model_copy(update={"engine": ENGINE}))
    return Catalogue(entries)


def choose(settings: GptSettings, catalogue: Catalogue) -> Selection:
    """The model to start with; one that the catalogue lacks (hub id, folder) is added to it.

    Raises `SettingsError` when IA_MODEL names nothing.
    """
    name = settings.ia_model.strip()
    if name.lower() in {"", "auto", "default"}:
        return Selection(EMBEDDED, _("IA_MODEL n'est pas défini : le modèle livré avec Frigo, qui tient partout."))
    entry = catalogue.find(name) or _outside(name, catalogue)
    if entry is None:
        known = ", ".join(catalogue.entries)
        raise SettingsError(
            f"IA_MODEL : « {name} » n'est ni un modèle connu ({known}), ni un dossier, ni un identifiant du hub."
        )
    if entry.key not in catalogue.entries:
        catalogue.add(entry)
    return Selection(entry.key, _("Demandé par IA_MODEL=%(name)s.", name=name))


def _outside(name: str, catalogue: Catalogue) -> ModelEntry | None:
    """An entry for a local folder or a hub id that the catalogue does not list."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        known = describe(folder)
        if known is None:
            raise SettingsError(
                "IA_MODEL : ce dossier n'a pas de config.json lisible ; ce n'est pas un modèle Hugging Face."
            )
        key = folder.resolve().name
        return ModelEntry(
            key=key if catalogue.find(key) is None else f"local/{key}",
            family=known.family,
            parameters=known.parameters,
            context=known.context,
            licence="",
            engine=ENGINE,
            path=folder.resolve(),
        )
    if _HUB_ID.fullmatch(name):
        return ModelEntry(key=name, hub_id=name, family="", parameters=0, licence="", engine=ENGINE)
    return None
