"""Which speech models this engine opens, by what their ``config.json`` says; read before any weight is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import ApiError
from common.messages import _

FAMILIES = frozenset({"canary", "parakeet", "whisper"})
# transformers' `model_type` and the family of the catalogue it belongs to.
_TYPES = {
    "canary": "canary",
    "parakeet_ctc": "parakeet",
    "parakeet_rnnt": "parakeet",
    "parakeet_tdt": "parakeet",
    "whisper": "whisper",
}
FEATURES = ("preprocessor_config.json", "processor_config.json")  # where the sound's features are described
CONFIG = "config.json"
TOKENIZERS = ("tokenizer.json", "vocab.json")  # the second is an old Whisper's, with merges.txt
_MAX_CONFIG_BYTES = 2**20


def family_of(config: Mapping[str, Any]) -> str | None:
    """The family of a configuration, or None when it is no speech model of ours."""
    return _TYPES.get(str(config.get("model_type")))


def checked(config: object, name: str) -> str:
    """The `model_type` of a configuration of ours. Raises `ApiError` 422 `model_unusable`."""
    kind = str(config.get("model_type")) if isinstance(config, dict) else "?"
    if kind not in _TYPES:
        message = _(
            "%(model)s est un modèle « %(kind)s » : transformers ne transcrit ici que %(known)s.",
            model=name,
            kind=kind[:60],
            known="Canary, Parakeet et Whisper",
        )
        raise ApiError(422, "model_unusable", message, "model")
    return kind


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's configuration. Raises `ApiError` 422 `model_unusable` when it can't be read."""
    try:
        with (folder / CONFIG).open("rb") as file:
            config = json.loads(file.read(_MAX_CONFIG_BYTES))
        if not isinstance(config, dict):
            raise ValueError("not a model configuration")
    except (OSError, ValueError) as error:
        message = _("Le config.json de ce modèle est absent ou illisible.")
        raise ApiError(422, "model_unusable", message, "model") from error
    return config
