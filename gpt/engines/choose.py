"""Which engine opens a model: what IA_ENGINE says, else what suits the machine and the model's family."""

from __future__ import annotations

from common.messages import Text, _
from common.models.catalogue import ModelEntry
from common.models.installed import not_installed
from gpt.engines.classes import HELD, installed
from gpt.engines.options import Quantization

LIGHT_FAMILIES = frozenset({"gpt2", "llama", "mistral", "qwen2", "qwen3", "phi"})  # what ctranslate2's converter knows
OWN_KINDS = frozenset({"nanochat", "remote"})  # entries that only one engine can open


def engine_of(
    entry: ModelEntry,
    *,
    asked: str,
    cuda: bool,
    adapters: bool = False,
    has_vllm: bool = False,
    quantization: Quantization = "auto",
) -> str | Text:
    """The engine for `entry`, or the reason why none here can open it.

    `asked` is IA_ENGINE; `cuda` whether a GPU will be used; `adapters` whether LoRA adapters are wanted. On a CPU
    the light engine comes first: int8, a third of the memory, no torch. It does not compute in 4 bits.
    """
    if entry.engine in OWN_KINDS:
        return entry.engine if installed(entry.engine) else missing(entry, entry.engine)
    if asked != "auto":
        if asked in OWN_KINDS:
            return _(
                "%(model)s n'est pas un modèle nanochat, et IA_ENGINE=nanochat n'ouvre que ceux-là : IA_ENGINE=auto.",
                model=entry.key,
            )
        if asked == "ctranslate2" and entry.family and entry.family not in LIGHT_FAMILIES:
            return _(
                "Le moteur ctranslate2 ne sait pas lire la famille %(family)s de %(model)s : IA_ENGINE=transformers.",
                family=entry.family,
                model=entry.key,
            )
        if asked == "ctranslate2" and quantization == "nf4":
            return _(
                "Le moteur ctranslate2 ne sait pas calculer en nf4 : IA_QUANTIZATION=int8 ou IA_ENGINE=transformers."
            )
        available = has_vllm if asked == "vllm" else installed(asked)
        return asked if available else missing(entry, asked)
    light = entry.family in LIGHT_FAMILIES and not adapters and not entry.vision and quantization != "nf4"
    order = [
        *(["vllm"] if cuda and has_vllm and not entry.embedded else []),
        *(["ctranslate2"] if light and not (cuda and installed("transformers")) else []),
        "transformers",
    ]
    usable = [engine for engine in order if engine == "vllm" or installed(engine)]
    return usable[0] if usable else missing(entry, order[0])


def engines_here() -> dict[str, Text | None]:
    """The engines that hold a model themselves, each with the reason why it is not here, if it is not."""
    return {name: None if installed(name) else not_installed(name) for name in HELD}


def missing(entry: ModelEntry, engine: str) -> Text:
    """The reason shown for a model whose engine is absent."""
    if engine in HELD:
        return not_installed(engine)
    return _(
        "Le moteur « %(engine)s » du modèle %(model)s n'est pas installé dans cet environnement.",
        engine=engine,
        model=entry.key,
    )
