"""Text as it comes is the text of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpt.engines.detokenize import Detokenizer

TEXTS = [
    "Once upon a time, there was",
    "  deux espaces,\n\n une ligne\tvide ",
    "À l’œuvre : 🎉👩‍👩‍👧 où ça ? 中文",
]


@pytest.fixture(params=["tiny_llama", "stories"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """A byte-level tokenizer, and a SentencePiece-like one with byte fallback."""
    from transformers import AutoTokenizer

    folder: Path = request.getfixturevalue(request.param)
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def detokenizer(tokenizer: Any, context: list[int] | None = None) -> Detokenizer:
    def decode(ids: list[int]) -> str:
        return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    return Detokenizer(decode, tokenizer.all_special_ids, context or [])


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_make_the_text_and_no_piece_has_half_a_character(tokenizer: Any, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    stream = detokenizer(tokenizer)
    pieces = [stream.push([i]) for i in ids]
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert "".join(pieces) + stream.flush() == text


@pytest.mark.parametrize("text", TEXTS)
def test_several_ids_at_once_make_the_same_text(tokenizer: Any, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    stream = detokenizer(tokenizer)
    pieces = [stream.push(ids[i : i + 3]) for i in range(0, len(ids), 3)]
    assert "".join(pieces) + stream.flush() == text


def test_a_continuation_keeps_its_leading_space(tokenizer: Any) -> None:
    before = tokenizer.encode("la demande", add_special_tokens=False)
    both = tokenizer.encode("la demande et le reste", add_special_tokens=False)
    assert both[: len(before)] == before
    stream = detokenizer(tokenizer, before)
    assert "".join(stream.push([i]) for i in both[len(before) :]) + stream.flush() == " et le reste"


def test_special_tokens_say_nothing_and_do_not_eat_spaces(tokenizer: Any) -> None:
    ids = tokenizer.encode("la demande", add_special_tokens=False)
    mark = tokenizer.eos_token_id
    stream = detokenizer(tokenizer)
    given = "".join(stream.push([i]) for i in [mark, ids[0], mark, *ids[1:], mark])
    assert given + stream.flush() == "la demande"


def test_a_character_cut_at_the_end_is_shown_as_such(tokenizer: Any) -> None:
    ids = tokenizer.encode("ok🎉", add_special_tokens=False)
    stream = detokenizer(tokenizer)
    text = "".join(stream.push([i]) for i in ids[:-1])
    assert text == "ok"
    assert set(stream.flush()) == {"\N{REPLACEMENT CHARACTER}"}
