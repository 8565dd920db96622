"""The registry of a service whose models come from a hub: takes any hub id that a person asks to load; offline
(HF_HUB_OFFLINE), only what is in the image; and no model whose engine is not installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from common.errors import ApiError
from common.messages import Text, _
from common.models.catalogue import Catalogue, ModelEntry
from common.models.contract import E, Loader, Selection
from common.models.installed import shown
from common.models.registry import Registry

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_LONGEST = 200


def outsider(name: str) -> ModelEntry | None:
    """An entry, of which nothing else is known, for the hub id `name` (``owner/name``); None for no such id."""
    if len(name) > _LONGEST or not _HUB_ID.fullmatch(name) or ".." in name:
        return None
    return ModelEntry(key=name, hub_id=name, family="", parameters=0, licence="")


def _nothing_missing(_entry: ModelEntry) -> Text | None:
    return None


class HubRegistry(Registry[E]):
    """A registry that refuses at once, `offline`, what would have to be fetched, and names what is there.

    `newcomer` tells what a hub id that the catalogue lacks is, and raises `ApiError` when it is nothing that can be
    opened: asked when a person loads or fetches a model, never when a mere request names one. `missing(entry)` says
    why no engine here opens an entry; `engines()` which engines the service may have, each with why it is absent.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        loader: Loader[E],
        selection: Selection,
        *,
        offline: bool,
        newcomer: Callable[[ModelEntry], ModelEntry],
        missing: Callable[[ModelEntry], Text | None] = _nothing_missing,
        engines: Callable[[], Mapping[str, Text | None]] = dict,
        **more: Any,
    ) -> None:
        self._offline = offline
        self._newcomer = newcomer
        self._missing = missing
        self._engines = engines
        super().__init__(catalogue, loader, selection, **more)

    def download(self, name: str) -> dict[str, Any]:
        """As `Registry.download`, for any hub id too. Raises `ApiError` as `newcomer` as well."""
        self._admit(name)
        return super().download(name)

    def load(self, name: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """As `Registry.load`, for any hub id too. Raises `ApiError` as `newcomer` as well."""
        self._admit(name)
        return super().load(name, options)

    def snapshot(self, language: str = "fr") -> dict[str, Any]:
        """As `Registry.snapshot`, with the engines."""
        return super().snapshot(language) | {"engines": shown(self._engines(), language)}

    def _admit(self, name: str) -> None:
        if self.catalogue.find(name) is None:
            entry = outsider(name)
            if entry is not None:
                self.catalogue.add(self._known(entry))

    def _known(self, entry: ModelEntry) -> ModelEntry:
        try:
            return self._newcomer(entry)
        except ApiError as error:
            if self._offline and error.code == "hub_offline":
                raise self._not_baked(entry) from error
            raise

    def check(self, entry: ModelEntry) -> None:
        """Raises `ApiError` 501 `engine_not_installed`, 409 `model_not_baked`."""
        reason = self._missing(entry)
        if reason is not None:
            raise ApiError(501, "engine_not_installed", reason, "model")
        if not self._offline or entry.hub_id is None or self._loader.downloaded(entry):
            return
        raise self._not_baked(entry)

    def _not_baked(self, entry: ModelEntry) -> ApiError:
        message = _(
            "%(model)s n'est pas sur ce disque et le hub ne doit pas être joint (HF_HUB_OFFLINE). "
            "Modèles présents : %(present)s.",
            model=entry.key,
            present=[one.key for one in self.catalogue if self._loader.downloaded(one)],
        )
        return ApiError(409, "model_not_baked", message, "model")
