"""nanochat's tokenizer: byte-pair ranks read from `tokenizer.pkl` without unpickling it.

The file is a pickled `tiktoken.Encoding`: its ranks, its split pattern and its special tokens are read as plain data
and given to the `tokenizers` library. tiktoken joins any two neighbours whose bytes together are a token, the lowest
rank first; the merges listed here, every way of cutting every token in two, say the same thing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from common.errors import ApiError
from common.messages import Text, _
from gpt.engines.nanochat.pickles import MAX_BYTES, Made, Name, PickleError, read_pickle

BOS = "<|bos|>"
USER_START, USER_END = "<|user_start|>", "<|user_end|>"
ASSISTANT_START, ASSISTANT_END = "<|assistant_start|>", "<|assistant_end|>"
PYTHON_START, PYTHON_END = "<|python_start|>", "<|python_end|>"
OUTPUT_START, OUTPUT_END = "<|output_start|>", "<|output_end|>"
SPECIAL = (
    *(BOS, USER_START, USER_END, ASSISTANT_START, ASSISTANT_END),
    *(PYTHON_START, PYTHON_END, OUTPUT_START, OUTPUT_END),
)
_ENCODING = Name("tiktoken.core", "Encoding")
_MAX_TOKEN = 1024  # bytes
_MAX_PATTERN = 1000  # characters; GPT-4's has 117
_REPEATED_GROUP = re.compile(r"(?<!\\)\)[*+{]")  # what takes exponential time has one
_BACK_REFERENCE = re.compile(r"\\[1-9kg]|\(\?[&RPR0-9]|\(\?P[=>]")


class NanochatTokenizer:
    """Text to ids and back."""

    def __init__(self, path: Path) -> None:
        """Raises `ApiError` 422 when the file is anything but a byte-pair encoding with nanochat's marks."""
        ranks, pattern, special = _read(path)
        self._pieces = [piece for piece, _rank in sorted(ranks.items(), key=lambda item: item[1])]
        self.special = special
        self._names = {index: name for name, index in special.items()}
        self.vocab_size = len(ranks) + len(special)
        self.longest = max(map(len, self._pieces))
        self._pattern = pattern
        self._text_only = _built(_described(self._pieces, pattern, {}))  # a text may not contain marks

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, in which a mark is only letters."""
        return list(self._text_only.encode(text, add_special_tokens=False).ids)

    def to_json(self) -> str:
        """The tokenizer, marks included, as the `tokenizers` library writes one: what llguidance reads."""
        return _described(self._pieces, self._pattern, self.special)

    def token_bytes(self, token: int) -> bytes:
        """What `token` stands for; a mark stands for its name."""
        return self._pieces[token] if token < len(self._pieces) else self._names[token].encode()

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`, marks written out; what is not UTF-8 becomes U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")


def _read(path: Path) -> tuple[dict[bytes, int], str, dict[str, int]]:
    """Ranks, split pattern and special tokens, checked."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PickleError(f"more than {MAX_BYTES} bytes")
        encoding = read_pickle(path.read_bytes(), frozenset({_ENCODING}))
    except (PickleError, OSError) as error:
        reason = str(error) if isinstance(error, PickleError) else type(error).__name__
        raise _refused(_("lecture refusée : %(reason)s", reason=reason)) from error
    if not isinstance(encoding, Made) or encoding.arguments or encoding.items or type(encoding.state) is not dict:
        raise _refused(_("ce n'est pas un encodage de tiktoken"))
    state: dict[Any, Any] = encoding.state
    if strange := set(state) - {"name", "mergeable_ranks", "pat_str", "special_tokens"}:
        raise _refused(_("champ inconnu : %(name)s", name=str(sorted(map(str, strange))[0])[:80]))
    ranks = _checked_ranks(state.get("mergeable_ranks"))
    return ranks, _checked_pattern(state.get("pat_str")), _checked_special(state.get("special_tokens"), len(ranks))


def _checked_ranks(ranks: Any) -> dict[bytes, int]:
    if type(ranks) is not dict or not all(type(key) is bytes and 0 < len(key) <= _MAX_TOKEN for key in ranks):
        raise _refused(_("les rangs ne vont pas de suites d'octets à des nombres"))
    if any(type(rank) is not int for rank in ranks.values()) or sorted(ranks.values()) != list(range(len(ranks))):
        raise _refused(_("les rangs ne se suivent pas"))
    if any(bytes([byte]) not in ranks for byte in range(256)):
        raise _refused(_("les 256 octets n'y sont pas tous"))
    return ranks


def _checked_pattern(pattern: Any) -> str:
    if type(pattern) is not str or not 0 < len(pattern) <= _MAX_PATTERN:
        raise _refused(_("le motif de découpe manque ou dépasse %(limit)s caractères", limit=_MAX_PATTERN))
    if _REPEATED_GROUP.search(pattern) or _BACK_REFERENCE.search(pattern):
        raise _refused(_("le motif de découpe répète un groupe ou y renvoie : son temps ne serait pas borné"))
    return pattern


def _checked_special(special: Any, first: int) -> dict[str, int]:
    if type(special) is not dict or any(type(name) is not str or type(i) is not int for name, i in special.items()):
        raise _refused(_("les marques ne vont pas de noms à des nombres"))
    if missing := [name for name in SPECIAL if name not in special]:
        raise _refused(_("il manque la marque %(name)s", name=missing[0]))
    if sorted(special.values()) != list(range(first, first + len(special))):
        raise _refused(_("les marques ne suivent pas les rangs"))
    return special


def _described(pieces: Sequence[bytes], pattern: str, special: dict[str, int]) -> str:
    """A tokenizer.json."""
    ranks = {piece: rank for rank, piece in enumerate(pieces)}
    written = [_written(piece) for piece in pieces]
    merges = []
    for piece in pieces:
        if len(piece) > 1:
            cuts = ((ranks.get(piece[:at]), ranks.get(piece[at:])) for at in range(1, len(piece)))
            known = sorted((left, right) for left, right in cuts if left is not None and right is not None)
            merges += [[written[left], written[right]] for left, right in known]
    described = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": name, "special": True}
            | {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
            for name, index in sorted(special.items(), key=lambda item: item[1])
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,  # a whole word that is a token is that token
            "vocab": {text: index for index, text in enumerate(written)},
            "merges": merges,
        },
    }
    return json.dumps(described)


def _built(description: str) -> Tokenizer:
    try:
        return Tokenizer.from_str(description)
    except Exception as error:  # the library raises nothing narrower when the pattern does not compile
        raise _refused(_("le motif de découpe n'est pas utilisable")) from error


def _byte_letters() -> dict[int, str]:
    """A printable letter for each byte, as GPT-2 chose them: bytes that print are themselves, others follow U+0100."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}


_LETTERS = _byte_letters()


def _written(piece: bytes) -> str:
    return "".join(_LETTERS[byte] for byte in piece)


def _refused(reason: Text) -> ApiError:
    message = _("Le tokenizer de ce modèle nanochat ne peut pas être ouvert : %(reason)s.", reason=reason)
    return ApiError(422, "model_unusable", message, "model")
