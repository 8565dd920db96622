"""The engines that hold a model themselves: where their classes are, and what must be installed for each.

Apart from `gpt.engines.choose`, so that an engine's own process imports nothing that only the service needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from gpt.engines.base import LanguageEngine

# These run in a process of their own; vllm and remote are servers, reached over HTTP.
_CLASSES = {
    "ctranslate2": ("gpt.engines.ctranslate2.engine:CTranslate2Engine", "ctranslate2"),
    "nanochat": ("gpt.engines.nanochat.engine:NanochatEngine", "torch"),
    "transformers": ("gpt.engines.transformers.engine:TransformersEngine", "transformers"),
}

HELD = tuple(_CLASSES)


@cache
def installed(engine: str) -> bool:
    """True when the libraries of `engine` are in this environment; nothing is imported."""
    return engine == "remote" or (engine in _CLASSES and find_spec(_CLASSES[engine][1]) is not None)


def engine_class(engine: str) -> Callable[..., LanguageEngine]:
    """The class of an engine. Imports its libraries."""
    module, _colon, name = _CLASSES[engine][0].partition(":")
    return cast("Callable[..., LanguageEngine]", getattr(import_module(module), name))
