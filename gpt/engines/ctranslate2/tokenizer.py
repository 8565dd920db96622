"""A folder's tokenizer, opened with `tokenizers` alone, and what goes with it: special tokens, template, sampling.

Reads what transformers reads: tokenizer.json (or GPT-2's vocab.json and merges.txt), tokenizer_config.json,
special_tokens_map.json, config.json and generation_config.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import SamplingDefaults
from gpt.engines.template import ChatTemplate, find_template, open_template

_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_DEFAULT_EOS = {"gpt2": 50256, "llama": 2, "mistral": 2, "phi": 2}  # where config.json does not say, as transformers
_NO_LIMIT = 10**8


@dataclass(frozen=True)
class TextSide:
    """The text side of a model. `special` maps names (``bos_token``…) to tokens; `vocabulary` is the model's."""

    tokenizer: Tokenizer
    special: dict[str, str]
    eos_ids: frozenset[int]
    special_ids: frozenset[int]
    marks: list[str]
    beginnings: list[int]
    longest: int
    context: int
    vocabulary: int
    cache_bytes: int  # that one token takes in CTranslate2's cache
    defaults: SamplingDefaults
    template: ChatTemplate | None

    def tokenize(self, text: str, begin: bool) -> list[int]:
        """Ids of `text`, begun as the tokenizer begins a text when `begin`."""
        return list(self.tokenizer.encode(text, add_special_tokens=begin).ids)

    @property
    def added(self) -> dict[int, tuple[str, bool]]:
        """The tokens added to the vocabulary, and whether they are special."""
        listed = self.tokenizer.get_added_tokens_decoder()
        return {int(i): (token.content, i in self.special_ids) for i, token in listed.items()}

    def decode(self, ids: list[int]) -> str:
        """The text of `ids`, special tokens left out. Ids past the tokenizer (a padded model's) are nothing."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))


def open_text_side(folder: Path) -> TextSide:
    """Raises 422 with the reason when the folder holds no tokenizer that can be opened."""
    try:
        config = _json(folder / "config.json")
        said = _json(folder / "special_tokens_map.json") | _json(folder / "tokenizer_config.json")
        tokenizer = _tokenizer(folder, config, said)
        special = _add_special(tokenizer, said)
        source = find_template(folder, said)
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise _unusable(_("son tokenizer : %(reason)s", reason=str(error).replace(str(folder), "")[:200])) from error
    template = open_template(source, special)
    generation = _json(folder / "generation_config.json")
    size = int(config.get("vocab_size") or tokenizer.get_vocab_size())
    default = _DEFAULT_EOS.get(str(config.get("model_type")))
    eos = _ids(generation.get("eos_token_id"), config.get("eos_token_id", default))
    named = {name: tokenizer.token_to_id(token) for name, token in special.items()}
    ids = {name: i for name, i in named.items() if i is not None}
    eos |= {ids["eos_token"]} if "eos_token" in ids else set()
    added = tokenizer.get_added_tokens_decoder()
    special_ids = {i for i, token in added.items() if token.special}
    return TextSide(
        tokenizer=tokenizer,
        special=special,
        eos_ids=frozenset(i for i in eos if 0 <= i < size),
        special_ids=frozenset(special_ids),
        marks=[token.content for i, token in added.items() if i in special_ids and len(token.content) > 2],
        beginnings=[ids[name] for name in ("bos_token", "eos_token") if name in ids],
        longest=max(len(token) for token in tokenizer.get_vocab(with_added_tokens=True)),
        context=_context(config, said),
        vocabulary=size,
        cache_bytes=_cache_bytes(config),
        defaults=_defaults(generation),
        template=template,
    )


def _tokenizer(folder: Path, config: dict[str, Any], said: dict[str, Any]) -> Tokenizer:
    whole = folder / "tokenizer.json"
    if whole.is_file():
        try:
            tokenizer = Tokenizer.from_file(str(whole))
        except Exception as error:  # tokenizers raises nothing narrower
            raise ValueError(str(error)) from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    if vocabulary.is_file() and merges.is_file() and config.get("model_type") == "gpt2":
        tokenizer = Tokenizer(models.BPE.from_file(str(vocabulary), str(merges)))
        prefix = bool(said.get("add_prefix_space", False))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
        tokenizer.decoder = decoders.ByteLevel()
        for name in ("bos_token", "eos_token", "unk_token"):
            said.setdefault(name, "<|endoftext|>")
        return tokenizer
    if (folder / "tokenizer.model").is_file():
        raise ValueError("tokenizer.model (sentencepiece) without tokenizer.json ; IA_ENGINE=transformers")
    raise ValueError("no tokenizer.json")


def _add_special(tokenizer: Tokenizer, said: dict[str, Any]) -> dict[str, str]:
    """Make the tokens that the configuration calls special so, and give the named ones."""
    listed = said.get("added_tokens_decoder") or {}
    for _id, one in sorted(listed.items(), key=lambda item: int(item[0])):
        token = _added(one, special=bool(one.get("special")))
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    special = {}
    flagged = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    extra = said.get("extra_special_tokens") or said.get("additional_special_tokens") or []
    named = [said[name] for name in _NAMES if said.get(name)]
    others = list(extra.values()) if isinstance(extra, dict) else list(extra)
    for one in (*named, *others):
        token = _added(one, special=True)
        if token.content not in flagged:
            tokenizer.add_special_tokens([token])
    for name in _NAMES:
        if said.get(name):
            special[name] = _added(said[name], special=True).content
    return special


def _added(one: Any, *, special: bool) -> AddedToken:
    if isinstance(one, str):
        return AddedToken(one, special=special, normalized=False)
    kept = {key: bool(one[key]) for key in ("single_word", "lstrip", "rstrip", "normalized") if key in one}
    return AddedToken(str(one["content"]), special=special, **({"normalized": False} | kept))


def _context(config: dict[str, Any], said: dict[str, Any]) -> int:
    """Tokens the model can hold: the least of what the configuration, the tokenizer and a sliding window say.

    CTranslate2 attends to more than the window while it reads a long prompt, so the window bounds the context.
    """
    limits = [config.get("max_position_embeddings"), config.get("n_positions"), said.get("model_max_length")]
    family = config.get("model_type")
    if family == "mistral" or (family in {"qwen2", "qwen3"} and config.get("use_sliding_window")):
        limits.append(config.get("sliding_window", 4096))
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT]
    return min(known) if known else 2048


def _cache_bytes(config: dict[str, Any]) -> int:
    """Keys and values in float32. CTranslate2 repeats grouped heads in its cache: every head counts, but for a
    model with a single key-value head."""
    layers = int(config.get("num_hidden_layers") or config.get("n_layer") or 0)
    heads = int(config.get("num_attention_heads") or config.get("n_head") or 1)
    width = int(config.get("hidden_size") or config.get("n_embd") or 0)
    head_dim = int(config.get("head_dim") or width // heads)
    held = 1 if config.get("num_key_value_heads") == 1 else heads
    return 4 * 2 * layers * held * head_dim


def _defaults(said: dict[str, Any]) -> SamplingDefaults:
    """The sampling its authors recommend; plain sampling when they say nothing."""
    if said.get("do_sample") is False:
        return SamplingDefaults(temperature=0.0)
    try:
        return SamplingDefaults(
            temperature=min(2.0, max(0.0, float(said.get("temperature") or 1.0))),
            top_p=min(1.0, float(said.get("top_p") or 1.0)),
            top_k=int(said.get("top_k") or 0),
        )
    except (ValueError, TypeError):
        return SamplingDefaults()


def _ids(*values: Any) -> set[int]:
    found: set[int] = set()
    for value in values:
        if isinstance(value, int):
            found.add(value)
        elif isinstance(value, list):
            found.update(int(one) for one in value)
    return found


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}


def _unusable(reason: Any) -> ApiError:
    return ApiError(422, "model_unusable", _("Ce modèle ne peut pas être ouvert : %(reason)s", reason=reason))
