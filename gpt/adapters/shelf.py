"""The LoRA adapters that gpt knows: those of IA_ADAPTERS, and those given over the API, remembered in DATA_DIR.

Nothing here opens one in an engine, and nothing imports torch.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.errors import ApiError
from common.hub.hub import Hub
from common.messages import Text, _
from common.models.catalogue import DEFAULT, Catalogue
from common.settings import SettingsError
from gpt.engines.adapter_files import CONFIG, WEIGHTS, check_files

FOLDER, REMEMBERED = "adapters", "adapters.json"  # in DATA_DIR
MAX_ADAPTERS = 32
_NAME = re.compile(r"\w[\w.-]{0,63}")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_log = logging.getLogger("frigo.gpt")


@dataclass
class Adapter:
    """One adapter. `folder` is None until its files are here; `error` is why it cannot be used; `refused` when its
    model was last seen in an engine that takes none."""

    name: str
    parent: str
    source: str
    origin: Literal["variable", "api"]
    folder: Path | None = None
    downloading: bool = False
    bytes_done: int = 0
    bytes_total: int = 0
    error: Text | str | None = None
    users: int = 0
    leaving: bool = False
    refused: bool = False


class Shelf:
    """Every adapter by name. Thread-safe."""

    def __init__(self, catalogue: Catalogue, hub: Hub, data_dir: Path) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.hub = hub
        self._catalogue = catalogue
        self._folder = data_dir / FOLDER
        self._file = data_dir / REMEMBERED
        self._known: dict[str, Adapter] = {}

    # --- where they come from ------------------------------------------------------------------------------------

    def declare(self, given: Sequence[str], parent: str) -> None:
        """Take IA_ADAPTERS (``name=folder`` or ``name=hub id``), adapters of `parent`. Raises `SettingsError`."""
        for item in given:
            name, equals, source = (part.strip() for part in item.partition("="))
            if not equals or not source:
                raise SettingsError(f"IA_ADAPTERS : « {item} » n'est pas de la forme nom=dossier ou nom=identifiant.")
            try:
                adapter = Adapter(self._free(name), parent, source, "variable")
                folder = Path(source).expanduser()
                if folder.is_dir():
                    check_files(folder)
                    adapter.folder = folder.resolve()
                elif not _HUB_ID.fullmatch(source):
                    raise SettingsError(f"IA_ADAPTERS : {source} n'est ni un dossier, ni un identifiant du hub.")
            except ApiError as error:
                raise SettingsError(f"IA_ADAPTERS : {name} : {error.message}") from error
            self._known[name.lower()] = adapter

    def remember(self) -> None:
        """Take back the adapters that were given over the API before. One that has gone wrong says so."""
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            items = [(str(item["name"]), str(item["source"]), str(item["parent"])) for item in kept]
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning("remembered adapters cannot be read", extra={"reason": str(error)})
            return
        for name, source, parent in items:
            adapter = Adapter(name, parent, source, "api")
            try:
                self._free(name)
                self._catalogue.resolve(parent)
                adapter.folder = self._own_folder(source)
            except ApiError as error:
                adapter.error = error.message
            self._known.setdefault(name.lower(), adapter)

    def add(self, name: str, source: str, parent: str) -> Adapter:
        """One more, given over the API. Its files are checked when they are here already.

        Raises 400 `invalid_value`, 404 `model_not_found`, 409 `name_taken` and `too_many_adapters`, 422
        `adapter_unusable`.
        """
        with self.changed:
            entry = self._catalogue.resolve(parent)
            adapter = Adapter(self._free(name), entry.key, source, "api", self._own_folder(source))
            if len(self._known) >= MAX_ADAPTERS:
                message = _("Au plus %(limit)s adaptateurs sont gardés.", limit=MAX_ADAPTERS)
                raise ApiError(409, "too_many_adapters", message, "name")
            self._known[name.lower()] = adapter
            return adapter

    def discard(self, name: str) -> None:
        """Forget an adapter; its files stay."""
        with self.changed:
            self._known.pop(name.lower(), None)
            self.save()

    def save(self) -> None:
        """Write what was given over the API, so that it is there after a restart."""
        with self.changed:
            kept = [
                {"name": adapter.name, "source": adapter.source, "parent": adapter.parent}
                for adapter in self._known.values()
                if adapter.origin == "api"
            ]
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft = self._file.with_name(f".{self._file.name}.{os.getpid()}")
            draft.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")
            draft.replace(self._file)

    # --- what there is -------------------------------------------------------------------------------------------

    def find(self, name: str | None) -> Adapter | None:
        """The adapter called `name`, unless it is leaving."""
        found = self._known.get((name or "").lower())
        return found if found is not None and not found.leaving else None

    def __iter__(self) -> Iterator[Adapter]:
        with self.changed:
            return iter(list(self._known.values()))

    def of(self, parent: str) -> tuple[tuple[str, Path], ...]:
        """(name, folder) of the adapters of a model whose files are here."""
        return tuple((a.name, a.folder) for a in self if a.parent == parent and a.folder is not None and not a.leaving)

    def wanted(self, parent: str) -> bool:
        """True when a model has adapters, here or still to be fetched: its engine must take some."""
        return any(a.parent == parent and not a.leaving for a in self)

    # --- checks --------------------------------------------------------------------------------------------------

    def _free(self, name: str) -> str:
        if not _NAME.fullmatch(name) or name.lower() == DEFAULT:
            message = _("Un nom d'adaptateur fait 1 à 64 lettres, chiffres, « . », « - » ou « _ ».")
            raise ApiError(400, "invalid_value", message, "name")
        if name.lower() in self._known or self._catalogue.find(name) is not None:
            message = _("Le nom « %(name)s » est déjà celui d'un modèle ou d'un adaptateur.", name=name)
            raise ApiError(409, "name_taken", message, "name")
        return name

    def _own_folder(self, source: str) -> Path | None:
        """A folder of DATA_DIR/adapters, or None for a hub's. Raises 400 on anything else: over the API, no other
        place of this machine can be read, nor told to exist."""
        root = self._folder.resolve()
        folder = (root / source).resolve()
        inside = folder != root and folder.is_relative_to(root)
        if inside and folder.is_dir():
            for name in (CONFIG, WEIGHTS):
                if not (folder / name).resolve().is_relative_to(root):
                    raise _elsewhere()
            check_files(folder)
            return folder
        if _HUB_ID.fullmatch(source) and ".." not in source:
            found = self.hub.find(source, "main")
            return found if found is not None and (found / WEIGHTS).is_file() else None
        raise _elsewhere()


def _elsewhere() -> ApiError:
    message = _("« source » est un dossier de DATA_DIR/adapters, ou l'identifiant d'un adaptateur du hub.")
    return ApiError(400, "invalid_value", message, "source")
