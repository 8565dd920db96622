"""Where the class of each speech model is. Apart from the client, so that a model's process imports nothing more."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from asr.engines.process.spec import Opening, SpeechModel

_CLASSES = {
    "nemo": "asr.engines.nemo.model:NemoModel",
    "transformers": "asr.engines.transformers.model:TransformersModel",
}


def model_class(name: str) -> Callable[[Path, Opening], SpeechModel]:
    """The class called `name`, or written in full (``module:Class``). Imports its libraries.

    The name comes from this program, never from a request.
    """
    module, _colon, attribute = _CLASSES.get(name, name).partition(":")
    return cast("Callable[[Path, Opening], SpeechModel]", getattr(import_module(module), attribute))
