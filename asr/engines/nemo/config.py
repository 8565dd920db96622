"""The configuration of a NeMo model, read as data, reduced to what recognition needs, and free of anything that runs.

NeMo builds a model by calling whatever class or function the configuration names (`_target_`, Hydra's way): a
configuration is a program. Here it is plain YAML (`yaml.safe_load`), of which only known keys are kept, and every
callable it names must be one of `TARGETS`, written out one by one. Interpolations that call a resolver (reading the
environment, for one) are refused, as are Hydra's other keywords, cycles, and anything too big. Files are named only
as plain names in the model's own folder. Decoding is not taken from the file (it may name language models, in
formats that can hold code): only the few numbers that belong to the model's architecture are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from asr.engines.nemo.archive import unusable
from common.messages import _

_MODELS = "nemo.collections.asr.models."
KINDS = {
    "EncDecMultiTaskModel": "canary",
    "EncDecCTCModelBPE": "ctc",
    "EncDecRNNTBPEModel": "transducer",
    "EncDecHybridRNNTCTCBPEModel": "transducer",
}
_MODULES = {
    "EncDecMultiTaskModel": "aed_multitask_models",
    "EncDecCTCModelBPE": "ctc_bpe_models",
    "EncDecRNNTBPEModel": "rnnt_bpe_models",
    "EncDecHybridRNNTCTCBPEModel": "hybrid_rnnt_ctc_bpe_models",
}
MODELS = {_MODELS + name: name for name in KINDS} | {
    f"{_MODELS}{module}.{name}": name for name, module in _MODULES.items()
}
TARGETS = frozenset(
    {
        "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
        "nemo.collections.asr.modules.audio_preprocessing.AudioToMelSpectrogramPreprocessor",
        "nemo.collections.asr.modules.ConformerEncoder",
        "nemo.collections.asr.modules.conformer_encoder.ConformerEncoder",
        "nemo.collections.asr.modules.ConvASRDecoder",
        "nemo.collections.asr.modules.conv_asr.ConvASRDecoder",
        "nemo.collections.asr.modules.RNNTDecoder",
        "nemo.collections.asr.modules.rnnt.RNNTDecoder",
        "nemo.collections.asr.modules.RNNTJoint",
        "nemo.collections.asr.modules.rnnt.RNNTJoint",
        "nemo.collections.asr.modules.transformer.get_nemo_transformer",
        "nemo.collections.asr.modules.transformer.transformer_utils.get_nemo_transformer",
        "nemo.collections.asr.modules.transformer.transformer_encoders.TransformerEncoder",
        "nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier",
        "nemo.collections.common.losses.smoothed_cross_entropy.SmoothedCrossEntropyLoss",
        "nemo.collections.common.losses.SmoothedCrossEntropyLoss",
        "nemo.collections.common.tokenizers.canary_tokenizer.CanaryTokenizer",
        "nemo.collections.common.tokenizers.canary_tokenizer.CanaryBPETokenizer",
    }
)
PROMPTS = frozenset({"canary", "canary2"})
MAX_YAML_BYTES = 8 * 2**20  # lists of every piece of a vocabulary make half a megabyte
_MAX_NODES = 400_000
_MAX_DEPTH = 40
_KEPT = frozenset(
    {
        *("target", "sample_rate", "prompt_format", "prompt_defaults", "tokenizer", "preprocessor", "encoder"),
        *("transf_encoder", "transf_decoder", "head", "model_defaults", "loss", "decoder", "joint", "aux_ctc"),
        *("labels", "nemo_version", "use_loss_mask_for_prompt", "label_smoothing", "ctc_reduction"),
    }
)
_ARTIFACTS = ("model_path", "vocab_path", "spe_tokenizer_vocab")
_REFERENCE = re.compile(r"\$\{[A-Za-z0-9_.]+\}")  # another node of this file; a resolver's has a colon
_PLAIN = re.compile(r"[A-Za-z0-9_][\w.+@ ()-]{0,199}", re.ASCII)


@dataclass(frozen=True)
class Configuration:
    """What NeMo is given: `kind` is canary, ctc or transducer, `model` the name of the model's class."""

    kind: str
    model: str
    tree: dict[str, Any]


def read_config(folder: Path, name: str) -> Configuration:
    """The configuration `name` in `folder`. Raises `ApiError` 422 `model_unusable`."""
    tree = _load(folder / name)
    if isinstance(tree.get("model"), dict):
        tree = tree["model"]
    target = tree.get("target")
    if not isinstance(target, str) or target not in MODELS:
        raise unusable(_("sa classe %(name)s n'est pas connue pour la parole", name=repr(str(target)[:100])))
    model = MODELS[target]
    kept = {key: value for key, value in tree.items() if key in _KEPT}
    _check(kept)
    kept["target"] = f"{_MODELS}{model}"
    _settle(kept, folder, tree.get("decoding"), KINDS[model])
    return Configuration(KINDS[model], model, kept)


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise unusable(_("sa configuration dépasse %(most)s Mo", most=MAX_YAML_BYTES // 2**20))
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeError, ValueError, RecursionError) as error:
        raise unusable(_("sa configuration est illisible")) from error
    if not isinstance(tree, dict):
        raise unusable(_("sa configuration est illisible"))
    return tree


def _check(tree: dict[str, Any]) -> None:
    """Walk everything that is kept. The count and the depth also stop YAML's aliases, which repeat or loop."""
    left = _MAX_NODES
    waiting: list[tuple[Any, int]] = [(value, 1) for key, value in tree.items() if key != "target"]
    while waiting:
        node, depth = waiting.pop()
        left -= 1
        if left < 0 or depth > _MAX_DEPTH:
            raise unusable(_("sa configuration est démesurée"))
        if isinstance(node, dict):
            for key, value in node.items():
                _check_key(key, value)
            waiting += [(value, depth + 1) for value in node.values()]
        elif isinstance(node, list):
            waiting += [(value, depth + 1) for value in node]
        elif isinstance(node, str):
            _check_text(node)
        elif node is not None and not isinstance(node, (bool, int, float)):
            raise unusable(_("sa configuration est illisible"))


def _check_key(key: object, value: object) -> None:
    if not isinstance(key, (str, int)):
        raise unusable(_("sa configuration est illisible"))
    if key in ("_target_", "target", "cls"):
        if key != "_target_" or not isinstance(value, str) or value not in TARGETS:
            raise unusable(_("sa configuration veut appeler %(name)s", name=repr(str(value)[:100])))
    elif isinstance(key, str) and re.fullmatch(r"_[a-z]+_", key):  # _args_, _partial_…: Hydra's other keywords
        raise unusable(_("sa configuration emploie %(name)s", name=repr(key)))


def _check_text(text: str) -> None:
    if "${" in text and not _REFERENCE.fullmatch(text):
        raise unusable(_("sa configuration emploie %(name)s", name=repr(text[:100])))


def _settle(tree: dict[str, Any], folder: Path, decoding: object, kind: str) -> None:
    """Fill in what NeMo's classes require and this engine decides."""
    if not isinstance(tree.get("tokenizer"), dict):
        raise unusable(_("il n'a pas de découpage en mots"))
    tree["tokenizer"] = _tokenizer(tree["tokenizer"], folder)
    if not isinstance(tree.get("sample_rate", 16_000), int) or tree.setdefault("sample_rate", 16_000) != 16_000:
        raise unusable(_("il n'écoute pas à 16 kHz"))
    if kind == "canary":
        if tree.get("prompt_format") not in PROMPTS:
            name = repr(str(tree.get("prompt_format"))[:50])
            raise unusable(_("sa forme de consigne %(name)s n'est pas connue", name=name))
        tree["restore_timestamps_model"] = False  # `restore` does it, from the same folder, with the same care
        tree["decoding"] = _canary_decoding(decoding)
    elif kind == "ctc":
        tree["decoding"] = {"strategy": "greedy_batch"}
    else:
        tree["decoding"] = _transducer_decoding(decoding)
        if isinstance(tree.get("aux_ctc"), dict):
            tree["aux_ctc"] = {**tree["aux_ctc"], "decoding": {"strategy": "greedy_batch"}}
    tree["spec_augment"] = None


def _tokenizer(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The tokenizer's section with its files made sure of: SentencePiece models (protocol buffers) and word lists."""
    kind = str(tree.get("type")).lower()
    kept: dict[str, Any] = {"type": kind}
    custom = tree.get("custom_tokenizer")
    if isinstance(custom, dict) and isinstance(custom.get("_target_"), str):
        kept["custom_tokenizer"] = {"_target_": custom["_target_"]}  # checked above
    languages = tree.get("langs")
    if kind == "agg" and isinstance(languages, dict) and languages:
        if not all(isinstance(one, dict) for one in languages.values()):
            raise unusable(_("il n'a pas de découpage en mots"))
        kept["langs"] = {str(name): _tokenizer(one, folder) for name, one in languages.items()}
        return kept
    if kind != "bpe":
        raise unusable(_("son découpage en mots %(name)s n'est pas de SentencePiece", name=repr(kind[:50])))
    kept["dir"] = str(folder)
    for key in _ARTIFACTS:
        named = tree.get(key)
        path = _file(named, folder)
        if path is not None:
            kept[key] = str(path)
        elif key == "model_path":
            raise unusable(_("il y manque le fichier %(name)s", name=repr(str(named)[:100])))
    return kept


def _file(named: object, folder: Path) -> Path | None:
    """The file of the model that `named` stands for: "nemo:<name>", or a path of whoever trained it."""
    if not isinstance(named, str):
        return None
    name = named.removeprefix("nemo:").rpartition("/")[2]
    path = folder / name
    return path if _PLAIN.fullmatch(name) and path.is_file() and not path.is_symlink() else None


def _canary_decoding(decoding: object) -> dict[str, Any]:
    """Greedy, with the length bound of the model's own beam search: the same text as a beam of one, and confidence."""
    bound = _number(decoding, ("beam", "max_generation_delta"), default=50)
    greedy = {"temperature": None, "n_samples": 1, "max_generation_delta": bound, "preserve_alignments": False}
    return {
        "strategy": "greedy",
        "greedy": greedy,
        "beam": {"beam_size": 1},
        "confidence_cfg": {
            "preserve_frame_confidence": True,
            "preserve_token_confidence": True,
            "method_cfg": {"name": "max_prob", "alpha": 1.0},
        },
    }


def _transducer_decoding(decoding: object) -> dict[str, Any]:
    """The kind of transducer and the jumps of its TDT, which belong to the weights."""
    tree = decoding if isinstance(decoding, dict) else {}
    kept: dict[str, Any] = {
        "strategy": "greedy_batch",
        "greedy": {"max_symbols": _number(decoding, ("greedy", "max_symbols"), default=10)},
    }
    if tree.get("model_type") in ("rnnt", "tdt", "multiblank"):
        kept["model_type"] = tree["model_type"]
    for key in ("durations", "big_blank_durations"):
        numbers = tree.get(key)
        if isinstance(numbers, list) and len(numbers) <= 100 and all(type(number) is int for number in numbers):
            kept[key] = numbers
    return kept


def _number(tree: object, keys: tuple[str, ...], default: int) -> int:
    node: Any = tree
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node if type(node) is int and -1 <= node <= 1024 else default
