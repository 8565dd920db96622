"""From tokens to words, alignment by attention, where a loop is cut, and which letters make a language."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr.engines.letters import EUROPEAN, spelled
from asr.engines.transformers.align import _path, spans
from asr.engines.transformers.decode import looped
from asr.engines.transformers.words import Piece, said

PIECES = [
    "",
    "▁Le",
    "▁con",
    "seil",
    ",",
    "▁20",
    "2",
    "6",
    "▁:",
    "▁«",
    "▁oui",
    "▁»",
    "▁",
    "3",
    "▁?",
    "▁l",
    "'",
    "eau",
    ".",
]


def decode(ids: list[int]) -> str:
    return "".join(PIECES[index] for index in ids).replace("▁", " ").strip()


def pieces(*ids: int) -> list[Piece]:
    """Each lasts a tenth of a second, and is surer than the one before."""
    return [Piece(index, PIECES[index], at / 10, at / 10 + 0.1, (at + 1) / 20) for at, index in enumerate(ids)]


def test_pieces_make_words_with_the_span_of_what_is_heard() -> None:
    found = said(pieces(1, 2, 3, 4, 5, 6, 7), decode, 10.0).words
    assert [word for word, *_rest in found] == ["Le", "conseil,", "2026"]
    assert found[1][1:3] == (0.1, 0.3)  # the comma takes no time
    assert found[1][3] == pytest.approx((2 + 3 + 4) / 3 / 20, abs=1e-4)


def test_marks_go_with_the_word_that_they_belong_to() -> None:
    found = said(pieces(1, 8, 9, 10, 11, 14), decode, 10.0).words
    assert [word for word, *_rest in found] == ["Le :", "« oui » ?"]
    assert found[0][1:3] == (0.0, 0.1)
    assert [word for word, *_rest in said(pieces(15, 16, 17, 18), decode, 10.0).words] == ["l'eau."]


def test_a_lone_space_begins_the_word_after_it() -> None:
    found = said(pieces(1, 12, 13), decode, 10.0).words
    assert [(word, start, end) for word, start, end, _sure in found] == [("Le", 0.0, 0.1), ("3", 0.1, 0.3)]


def test_times_stay_within_the_sound_and_in_order() -> None:
    late = [Piece(1, "▁Le", 4.0, 5.5, 0.9), Piece(10, "▁oui", 3.0, 3.5, 0.9)]
    assert [one[1:3] for one in said(late, decode, 5.0).words] == [(4.0, 5.0), (4.0, 4.0)]


def test_text_without_spaces_is_cut_between_characters() -> None:
    table = {0: b"\xe4\xb8", 1: b"\xad", 2: "文".encode()}

    def whole(ids: list[int]) -> str:
        return b"".join(table[index] for index in ids).decode("utf-8", errors="replace")

    parts = [Piece(index, "?", index / 10, index / 10 + 0.1, 0.5) for index in range(3)]
    found = said(parts, whole, 1.0, spaced=False).words
    assert [(word, start, end) for word, start, end, _sure in found] == [("中", 0.0, 0.2), ("文", 0.2, 0.3)]


def test_a_loop_is_cut_after_its_first_round() -> None:
    assert looped([1, 2, 3, *[7] * 9]) is None  # 1 000 000 000
    assert looped([1, 2, 3, *[7] * 10]) == 4
    assert looped([5, *[7, 8, 9] * 3]) is None
    assert looped([5, *[7, 8, 9] * 4]) == 4
    assert looped([*range(30), *range(30)]) is None


def test_letters_bound_the_languages() -> None:
    latin = "abcdefghijklmnopqrstuvwxyz"
    assert spelled([latin]) == {"en"}
    assert {"fr", "en"} <= spelled([latin, "àâçèéêîôùû"])
    assert "ru" in spelled(["абвгдежзийклмнопрстуфхцчшщъыьэюя"])
    assert "en" not in spelled(["абвгдежзийклмнопрстуфхцчшщъыьэюя"])
    assert spelled([]) == frozenset()
    assert {"fr", "uk", "mt"} <= EUROPEAN
    assert len(EUROPEAN) == 25


def attention(places: list[tuple[int, int]], frames: int) -> torch.Tensor:
    """One head that looks at each token's span, and another that always looks at the first frames."""
    rng = np.random.default_rng(0)
    follows = rng.uniform(0, 0.02, (len(places) + 1, frames))
    for row, (start, end) in enumerate(places):
        follows[row, start:end] += 1
    follows[-1, -1] += 1
    sink = np.full_like(follows, 0.01)
    sink[:, :4] = 1
    both = np.stack((follows, sink))
    return torch.from_numpy(both / both.sum(axis=-1, keepdims=True))


def test_attention_tells_when_and_pauses_belong_to_no_word() -> None:
    places = [(10, 22), (22, 40), (90, 110), (112, 130)]
    for (start, end), (first, last) in zip(spans(attention(places, 150)), places, strict=True):
        assert abs(start - first) <= 3
        assert abs(end - last) <= 3


def test_alignment_of_little_or_nothing() -> None:
    assert spans(torch.ones(1, 1, 10)) == []
    assert len(spans(torch.ones(2, 5, 3))) == 4  # more tokens than frames
    assert len(spans(torch.zeros(2, 3, 8))) == 2


def test_time_warping_finds_the_path_of_the_library() -> None:
    from transformers.models.whisper.generation_whisper import _dynamic_time_warping

    rng = np.random.default_rng(2)
    for tokens, frames in ((3, 20), (12, 15), (9, 9), (1, 6)):
        cost = rng.standard_normal((tokens, frames))
        rows, columns = _dynamic_time_warping(cost)
        jumps = np.pad(np.diff(rows), (1, 0), constant_values=1).astype(bool)
        assert _path(cost) == columns[jumps].tolist()
