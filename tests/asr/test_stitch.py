"""Joining two chunks that overlap: every word once, whatever each of them made of its edge."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from asr.engines.base import Word
from asr.transcription.stitch import CLOSE_SPREAD, joined
from tests.asr.tones import WORDS

START, END = 10.0, 12.0


def said(*words: tuple[str, float, float]) -> list[Word]:
    return [Word(*word) for word in words]


def texts(words: list[Word]) -> list[str]:
    return [word.word for word in words]


def speech(chance: random.Random, vocabulary: tuple[str, ...] = WORDS, until: float = 22.0) -> list[Word]:
    """Words one after the other, at the pace of speech."""
    words, at = [], 0.0
    while at < until:
        length = chance.uniform(0.12, 0.6)
        words.append(Word(chance.choice(vocabulary), at, at + length))
        at += length + chance.choice([0.0, 0.02, 0.1, 0.4])
    return words


def moved(chance: random.Random, words: list[Word], by: float) -> list[Word]:
    """The same words as another pass of a model places them."""
    found = [Word(w.word, w.start + chance.uniform(-by, by), w.end + chance.uniform(-by, by)) for w in words]
    return sorted(found, key=lambda word: word.start)


def heard(words: list[Word], start: float, end: float) -> list[Word]:
    """What a model reads between two cuts: whole words, and fragments of those that a cut goes through."""
    found = []
    for word in words:
        if word.end <= start or word.start >= end:
            continue
        whole = start <= word.start and word.end <= end
        inside = min(word.end, end) - max(word.start, start)
        if not whole and inside < 0.05:
            continue
        found.append(Word(word.word if whole else f"{word.word[:2]}~", max(word.start, start), min(word.end, end)))
    return found


@pytest.mark.parametrize("seed", range(120))
def test_words_that_both_heard_are_there_once_whatever_the_cuts_went_through(seed: int) -> None:
    chance = random.Random(seed)
    words = speech(chance)
    by = chance.choice([0.0, 0.05])
    left = moved(chance, heard(words, 0.0, END), by)
    right = moved(chance, heard(words, START, 22.0), by)
    expected = texts(heard(words, 0.0, 22.0))
    assert texts(joined(left, right, START, END)) == expected


@pytest.mark.parametrize("seed", range(60))
def test_times_that_differ_by_a_third_of_a_second_lose_nothing(seed: int) -> None:
    chance = random.Random(seed)
    words = [Word(WORDS[number], w.start, w.end) for number, w in enumerate(speech(chance))]  # no word twice
    left = [Word(w.word, w.start + 0.3, w.end + 0.3) for w in heard(words, 0.0, END)]
    right = heard(words, START, 22.0)
    assert texts(joined(left, right, START, END)) == texts(heard(words, 0.0, 22.0))


@pytest.mark.parametrize("seed", range(60))
def test_case_and_punctuation_do_not_matter_and_the_edges_marks_are_left_out(seed: int) -> None:
    chance = random.Random(seed)
    words = speech(chance)
    left, right = heard(words, 0.0, END), heard(words, START, 22.0)
    left[-1] = Word(left[-1].word + ".", left[-1].start, left[-1].end)
    right[0] = Word(right[0].word.capitalize(), right[0].start, right[0].end)
    whole = [
        Word(chance.choice([str.upper, str.capitalize, str])(w.word) + chance.choice(["", ",", "…"]), w.start, w.end)
        for w in left[:-1]
    ]
    found = texts(joined([*whole, left[-1]], right, START, END))
    assert ["".join(c for c in word.lower() if c.isalpha() or c == "~") for word in found] == texts(
        heard(words, 0.0, 22.0)
    )


def test_the_full_stop_of_a_cut_is_not_kept() -> None:
    left = said(("nous", 9.6, 9.9), ("parlons", 10.1, 10.6), ("français.", 10.7, 11.5))
    right = said(("Parlons", 10.1, 10.6), ("français", 10.7, 11.5), ("ici", 11.6, 12.2))
    assert texts(joined(left, right, START, END)) == ["nous", "parlons", "français", "ici"]


def test_a_word_cut_on_both_sides_is_not_said_twice() -> None:
    left = said(("avant", 9.0, 9.6), ("anticonsti~", 9.9, 12.0))
    right = said(("~tutionnellement", 10.0, 12.3), ("après", 12.6, 13.0))
    found = texts(joined(left, right, START, END))
    assert found[0] == "avant"
    assert found[-1] == "après"
    assert len(found) == 3


def test_one_side_that_heard_nothing_leaves_it_to_the_other() -> None:
    words = said(("un", 10.2, 10.4), ("deux", 10.9, 11.2), ("trois", 11.5, 11.9))
    assert joined([], words, START, END) == words
    assert joined(words, [], START, END) == words
    before, after = said(("avant", 8.0, 8.5)), said(("après", 13.0, 13.5))
    assert joined([*before, *words], after, START, END) == [*before, *words, *after]
    assert joined(before, [*words, *after], START, END) == [*before, *words, *after]


def test_nothing_in_the_overlap_on_either_side_takes_nothing_away() -> None:
    before, after = said(("avant", 8.0, 8.5)), said(("après", 13.0, 13.5))
    assert joined(before, after, START, END) == [*before, *after]
    assert joined([], [], START, END) == []


def test_words_that_two_passes_hear_differently_are_there_once() -> None:
    left = said(("il", 9.9, 10.05), ("parle", 10.1, 10.6), ("au", 10.7, 10.9), ("mère", 11.0, 11.4), ("de", 11.6, 11.8))
    right = said(("parles", 10.1, 10.6), ("eau", 10.7, 10.9), ("maire", 11.0, 11.4), ("deux", 11.6, 12.0))
    found = joined(left, right, START, END)
    assert len(found) == 5
    assert [word.start for word in found] == [9.9, 10.1, 10.7, 11.0, 11.6]


def test_repeated_words_are_told_apart_by_their_times() -> None:
    words = [("oui", 9.0 + 0.4 * number, 9.3 + 0.4 * number) for number in range(12)]
    left = said(*[word for word in words if word[2] <= END])
    right = said(*[word for word in words if word[1] >= START])
    assert len(joined(left, right, START, END)) == 12


@pytest.mark.parametrize("seed", range(60))
def test_times_that_were_spread_over_the_speech_are_enough(seed: int) -> None:
    chance = random.Random(seed)
    words = [Word(WORDS[number], w.start, w.end) for number, w in enumerate(speech(chance))]

    def spread(part: list[Word]) -> list[Word]:
        step = (part[-1].end - part[0].start) / len(part)
        return [Word(w.word, part[0].start + n * step, part[0].start + (n + 1) * step) for n, w in enumerate(part)]

    left, right = spread(heard(words, 0.0, END)), spread(heard(words, START, 22.0))
    assert texts(joined(left, right, START, END, close=CLOSE_SPREAD)) == texts(heard(words, 0.0, 22.0))


def test_words_heard_wrong_and_words_often_said_hardly_ever_cost_a_word() -> None:
    wrong = 0
    for seed in range(400):
        chance = random.Random(seed)
        words = speech(chance, WORDS[:10])

        def misheard(part: list[Word], chance: random.Random = chance) -> list[Word]:
            return [Word(f"x{chance.random()}" if chance.random() < 0.2 else w.word, w.start, w.end) for w in part]

        found = joined(misheard(heard(words, 0.0, END)), misheard(heard(words, START, 22.0)), START, END)
        wrong += len(found) != len(heard(words, 0.0, 22.0))
    assert wrong <= 8  # of 400 joins


@pytest.mark.parametrize("seed", range(100))
def test_whatever_is_heard_the_words_away_from_the_overlap_stay_and_time_goes_forward(seed: int) -> None:
    chance = random.Random(seed)
    left = heard(speech(chance), 0.0, END)
    right = heard(speech(chance), START, 22.0)  # another speech altogether
    found = joined(left, right, START, END)
    assert [w for w in found if w.end < START - 1] == [w for w in left if w.end < START - 1]
    assert [w for w in found if w.start > END + 1] == [w for w in right if w.start > END + 1]
    middles = [(word.start + word.end) / 2 for word in found]
    assert all(b > a - 0.8 for a, b in pairwise(middles))
