"""gpt's registry: takes any hub id that a person asks to load; offline (HF_HUB_OFFLINE), only what is in the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from common.errors import ApiError
from common.messages import _
from common.models.catalogue import Catalogue, ModelEntry
from common.models.contract import Loader, Selection
from common.models.registry import Registry
from gpt.engines.forwarding import GptEngine


class GptRegistry(Registry[GptEngine]):
    """A registry that refuses at once, `offline`, what would have to be fetched, and names what is there.

    `newcomer` makes an entry of a name that the catalogue lacks, or tells that it is none: asked when a person loads
    or fetches a model, never when a mere request names one.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        loader: Loader[GptEngine],
        selection: Selection,
        *,
        offline: bool,
        newcomer: Callable[[str], ModelEntry | None] = lambda _name: None,
        **more: Any,
    ) -> None:
        self._offline = offline
        self._newcomer = newcomer
        super().__init__(catalogue, loader, selection, **more)

    def download(self, name: str) -> dict[str, Any]:
        """As `Registry.download`, for any hub id too. Raises `ApiError` as `hub_entry` as well."""
        self._admit(name)
        return super().download(name)

    def load(self, name: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """As `Registry.load`, for any hub id too. Raises `ApiError` as `hub_entry` as well."""
        self._admit(name)
        return super().load(name, options)

    def _admit(self, name: str) -> None:
        if self.catalogue.find(name) is None:
            entry = self._newcomer(name)
            if entry is not None:
                self.catalogue.add(entry)

    def check(self, entry: ModelEntry) -> None:
        """Raises `ApiError` 409 `model_not_baked`."""
        if not self._offline or entry.hub_id is None or self._loader.downloaded(entry):
            return
        message = _(
            "%(model)s n'est pas sur ce disque et le hub ne doit pas être joint (HF_HUB_OFFLINE). "
            "Modèles présents : %(present)s.",
            model=entry.key,
            present=[one.key for one in self.catalogue if self._loader.downloaded(one)],
        )
        raise ApiError(409, "model_not_baked", message, "model")
