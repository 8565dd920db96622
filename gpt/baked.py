"""gpt's models when the hub must not be joined (HF_HUB_OFFLINE): those of the image, and no other."""

from __future__ import annotations

from typing import Any

from common.errors import ApiError
from common.messages import _
from common.models.catalogue import Catalogue, ModelEntry
from common.models.contract import Loader, Selection
from common.models.registry import Registry
from gpt.engines.forwarding import GptEngine


class GptRegistry(Registry[GptEngine]):
    """A registry that refuses at once, `offline`, what would have to be fetched, and names what is there."""

    def __init__(
        self, catalogue: Catalogue, loader: Loader[GptEngine], selection: Selection, *, offline: bool, **more: Any
    ) -> None:
        self._offline = offline
        super().__init__(catalogue, loader, selection, **more)

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
