"""From NeMo's tokens to words with times and confidence."""

from __future__ import annotations

import pytest

from asr.engines.nemo.words import Spelled, Token, spell, timed

PIECES = ["▁the", "▁cat", "s", "▁sat", ".", "<pad>", "<|nospeech|>", "▁"] + [f"<|{frame}|>" for frame in range(30)]


def decode(numbers: list[int]) -> str:
    return "".join(PIECES[number] for number in numbers).replace("▁", " ")


def tokens(*pieces: str, confidence: float | None = 0.5) -> list[Token]:
    return [Token(PIECES.index(piece), piece, confidence) for piece in pieces]


def test_words_begin_where_sentencepiece_marks_them() -> None:
    words = spell(tokens("▁the", "▁cat", "s", "▁sat", "."), decode)
    assert [word.word for word in words] == ["the", "cats", "sat."]
    assert all(word.start is None and word.confidence == pytest.approx(0.5) for word in words)


def test_a_words_confidence_is_the_geometric_mean_of_its_tokens() -> None:
    words = spell([Token(1, "▁cat", 0.9), Token(2, "s", 0.4), Token(3, "▁sat", None)], decode)
    assert [word.confidence for word in words] == [pytest.approx(0.6), None]


def test_times_surround_words() -> None:
    words = spell(tokens("<|3|>", "▁the", "<|5|>", "<|7|>", "▁cat", "s", "<|12|>", "<pad>"), decode)
    assert [(word.word, word.start, word.end) for word in words] == [("the", 3, 5), ("cats", 7, 12)]


def test_a_sentences_time_is_shared_by_length() -> None:
    words = spell(tokens("<|2|>", "▁the", "▁cat", "s", "▁sat", "<|12|>"), decode)
    assert [(word.word, word.start, word.end) for word in words] == [
        ("the", 2, 5),
        ("cats", 5, 9),
        ("sat", 9, 12),
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        ("▁the", "<|4|>"),  # no beginning
        ("<|4|>", "▁the"),  # no end
        ("<|9|>", "▁the", "<|4|>"),  # back in time
    ],
)
def test_a_wrong_pair_of_times_gives_none(pieces: tuple[str, ...]) -> None:
    assert spell(tokens(*pieces), decode) == [Spelled("the", confidence=pytest.approx(0.5))]


def test_special_tokens_are_no_text() -> None:
    assert spell(tokens("<|nospeech|>", "<pad>", "<|1|>", "<|2|>"), decode) == []


def test_seconds_are_those_of_the_utterance() -> None:
    """Frames of 80 ms, heard 0.2 s late because silence was put before a short sound."""
    found = timed([Spelled("the", 5, 10, 0.87654), Spelled("cat", 10, 50)], 0.08, 0.2, 0.9)
    assert found == (("the", 0.2, 0.6, 0.8765), ("cat", 0.6, 0.9, None))


def test_words_without_times_share_the_gap_between_their_neighbours() -> None:
    words = [Spelled("a"), Spelled("b", 10, 20), Spelled("c"), Spelled("d"), Spelled("e", 40, 45), Spelled("f")]
    assert [(word, start, end) for word, start, end, _confidence in timed(words, 0.1, 0, 6.0)] == [
        ("a", 0.0, 1.0),
        ("b", 1.0, 2.0),
        ("c", 2.0, 3.0),
        ("d", 3.0, 4.0),
        ("e", 4.0, 4.5),
        ("f", 4.5, 6.0),
    ]


def test_times_never_go_back() -> None:
    found = timed([Spelled("a", 5, 9), Spelled("b", 3, 7), Spelled("c", 8, 99)], 0.1, 0, 2.0)
    assert [(start, end) for _word, start, end, _confidence in found] == [(0.5, 0.9), (0.9, 0.9), (0.9, 2.0)]


def test_without_a_single_time_there_are_none() -> None:
    assert timed([Spelled("a"), Spelled("b")], 0.08, 0, 3.0) == ()
