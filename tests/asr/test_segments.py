"""Words cut into segments: sentences, breaths, and never too long."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from asr.engines.base import Word
from asr.transcription.segments import MAX_CHARACTERS, MAX_SECONDS, segments


def said(text: str, pace: float = 0.3, gap: float = 0.05, start: float = 0.0) -> list[Word]:
    """The words of `text` at an even pace; "|" is a pause of a second."""
    words, at = [], start
    for piece in text.split():
        if piece == "|":
            at += 1.0
            continue
        words.append(Word(piece, at, at + pace))
        at += pace + gap
    return words


def texts(text: str, *, punctuates: bool = True) -> list[str]:
    return [segment.text for segment in segments(said(text), punctuates=punctuates)]


def test_a_model_that_punctuates_gives_its_sentences_whatever_the_pauses() -> None:
    assert texts("Bonjour à | tous. Ça va ? Oui !") == ["Bonjour à tous.", "Ça va ?", "Oui !"]
    assert texts("Il dit : « Venez. » Elle vient…") == ["Il dit : « Venez. »", "Elle vient…"]


def test_initials_titles_and_small_letters_do_not_end_a_sentence() -> None:
    assert texts("M. Durand et Mme. Petit arrivent. Bien.") == ["M. Durand et Mme. Petit arrivent.", "Bien."]
    assert texts("Des pommes, etc. et des poires.") == ["Des pommes, etc. et des poires."]


def test_a_sentence_with_a_long_silence_in_it_is_cut_there() -> None:
    assert texts("Nous allons | | | commencer.") == ["Nous allons", "commencer."]


def test_a_model_that_does_not_punctuate_gives_what_is_said_in_a_breath() -> None:
    assert texts("bonjour à tous | on commence", punctuates=False) == ["bonjour à tous", "on commence"]


def test_no_words_give_no_segment() -> None:
    assert segments([], punctuates=True) == segments([], punctuates=False) == []


def test_a_long_sentence_is_cut_after_a_comma() -> None:
    text = " ".join(["mot"] * 20) + ", " + " ".join(["suite"] * 20) + "."
    first, second = texts(text)
    assert first.endswith("mot,")
    assert second.startswith("suite")


@pytest.mark.parametrize("punctuates", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_every_word_is_in_one_segment_in_order_and_none_is_too_long(seed: int, punctuates: bool) -> None:
    chance = random.Random(seed)
    words, at = [], 0.0
    for _number in range(300):
        length = chance.uniform(0.05, 1.0)
        text = "a" * chance.randint(1, 14) + chance.choice(["", "", "", "", ",", "."])
        words.append(Word(text, at, at + length))
        at += length + chance.choice([0.0, 0.1, 0.1, 0.8, 3.0])
    found = segments(words, punctuates=punctuates)
    assert " ".join(segment.text for segment in found).split() == [word.word for word in words]
    for segment in found:
        assert segment.start < segment.end
        assert len(segment.text) <= MAX_CHARACTERS
        assert segment.end - segment.start <= MAX_SECONDS
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_a_word_longer_than_a_segment_stays_whole() -> None:
    words = [Word("a" * 300, 0.0, 1.0), Word("b", 1.0, 1.2)]
    assert [segment.text for segment in segments(words, punctuates=True)] == ["a" * 300, "b"]
