"""Words joined to turns, word by word."""

from __future__ import annotations

import random

import pytest

from app.meetings.sentences import punctuate
from app.meetings.transcript import transcript
from bench.conversations import converse, diarized, exclusive, heard
from bench.cpwer import CpWer
from bench.join_quality import by_segment, by_word, on_conversation, score
from common.speech.join import group, join, speakers_of
from common.speech.words import Turn, Word, spread

A, B = "SPEAKER_00", "SPEAKER_01"


def said(*words: tuple[str, float, float]) -> list[Word]:
    return [Word(*word) for word in words]


def shape(words: list[Word], turns: list[Turn]) -> list[tuple[str, str]]:
    return [(segment.speaker, segment.text) for segment in join(words, turns)]


def test_a_sentence_that_runs_over_a_change_of_speaker_is_cut_at_the_word() -> None:
    words = said(("Bonjour", 0.0, 0.5), ("Anna", 0.6, 1.0), ("bonjour", 1.1, 1.5), ("Marc", 1.6, 2.0))
    assert shape(words, [Turn(A, 0, 1.05), Turn(B, 1.05, 2.1)]) == [(A, "Bonjour Anna"), (B, "bonjour Marc")]


def test_a_word_goes_to_the_speaker_who_covers_most_of_it() -> None:
    turns = [Turn(A, 0.0, 1.1), Turn(B, 1.1, 3.0)]
    assert shape(said(("un", 0.5, 1.0), ("deux", 1.0, 1.3), ("trois", 1.4, 1.8)), turns) == [
        (A, "un"),
        (B, "deux trois"),
    ]


def test_several_turns_of_one_speaker_add_up() -> None:
    turns = [Turn(A, 0.0, 0.2), Turn(A, 0.3, 0.5), Turn(B, 0.2, 0.5)]
    assert shape(said(("mot", 0.0, 0.5)), turns) == [(A, "mot")]


@pytest.mark.parametrize(("start", "speaker"), [(1.05, A), (2.4, B), (0.0, A), (9.0, B)])
def test_a_word_outside_every_turn_goes_to_the_nearest(start: float, speaker: str) -> None:
    turns = [Turn(A, 0.5, 1.0), Turn(B, 2.5, 3.0)]
    assert shape(said(("mot", start, start + 0.05)), turns) == [(speaker, "mot")]


def test_a_word_without_length_inside_a_turn_belongs_to_it() -> None:
    turns = [Turn(A, 0.0, 1.0), Turn(B, 1.0, 5.0), Turn(A, 5.0, 6.0)]
    assert shape(said(("mot", 4.9, 4.9)), turns) == [(B, "mot")]


def test_in_overlapped_speech_who_was_speaking_goes_on() -> None:
    turns = [Turn(B, 0.0, 5.0), Turn(A, 2.0, 5.0)]
    assert shape(said(("un", 1.0, 1.5), ("deux", 2.1, 2.4), ("trois", 2.5, 3.0)), turns) == [(B, "un deux trois")]


def test_a_lone_word_that_another_turn_merely_brushes_joins_the_flow() -> None:
    turns = [Turn(A, 0.0, 1.02), Turn(B, 1.28, 1.36), Turn(A, 1.5, 3.0)]
    words = said(("nous", 0.5, 1.0), ("livrons", 1.05, 1.45), ("demain", 1.5, 2.0))
    assert shape(words, turns) == [(A, "nous livrons demain")]


def test_a_short_answer_that_its_speaker_covers_stays_his() -> None:
    turns = [Turn(A, 0.0, 1.0), Turn(B, 1.0, 1.4), Turn(A, 1.4, 3.0)]
    words = said(("d'accord", 0.5, 1.0), ("oui", 1.05, 1.35), ("alors", 1.4, 2.0))
    assert shape(words, turns) == [(A, "d'accord"), (B, "oui"), (A, "alors")]


def test_without_turns_one_person_said_everything() -> None:
    assert shape(said(("tout", 0, 1), ("seul", 1, 2)), []) == [(A, "tout seul")]


def test_no_words_no_segments() -> None:
    assert join([], [Turn(A, 0, 1)]) == []
    assert join(said(("  ", 0, 1)), [Turn(A, 0, 1)]) == []


def test_a_long_silence_starts_a_new_segment() -> None:
    words = said(("avant", 0.0, 0.5), ("après", 3.0, 3.5))
    assert shape(words, [Turn(A, 0, 4)]) == [(A, "avant"), (A, "après")]


def test_a_long_segment_ends_with_its_sentence() -> None:
    words = [Word("mot." if i == 40 else "mot", float(i), i + 0.9) for i in range(50)]
    segments = join(words, [Turn(A, 0, 60)])
    assert [len(segment.words) for segment in segments] == [41, 9]


def test_times_of_a_segment_are_those_of_its_words() -> None:
    segment = join(said(("un", 0.25, 0.5), ("deux", 0.6, 1.75)), [Turn(A, 0, 2)])[0]
    assert (segment.start, segment.end) == (0.25, 1.75)


def test_thousands_of_words_and_turns_are_joined_quickly() -> None:
    words = [Word("mot", i * 0.3, i * 0.3 + 0.25) for i in range(40_000)]
    turns = [Turn(A if i % 2 else B, i * 3.0, i * 3.0 + 3.0) for i in range(4_000)]
    assert len(join(words, turns)) == 4_000


def test_words_without_times_are_spread_by_length() -> None:
    words = spread("un  très-long mot", 10.0, 20.0)
    assert [word.word for word in words] == ["un", "très-long", "mot"]
    assert (words[0].start, words[-1].end) == (10.0, 20.0)
    assert words[1].end - words[1].start > 2 * (words[0].end - words[0].start)


def test_characters_of_the_transcript_lead_back_to_seconds() -> None:
    words = said(("hello", 0.0, 0.4), ("there", 0.5, 0.9), ("hi", 1.2, 1.5), ("Anna", 1.6, 2.0))
    found = transcript(join(words, [Turn(A, 0, 1.05), Turn(B, 1.05, 2.1)]))
    assert found.text == "SPEAKER_00: hello there\nSPEAKER_01: hi Anna\n"
    at = found.text.index("hi Anna")
    assert found.seconds(at, at + 7) == (1.2, 2.0)
    assert found.seconds(found.text.index("there"), found.text.index("there") + 2) == (0.5, 0.9)
    assert found.seconds(0, 5) is None
    whole = found.seconds(0, len(found.text))
    assert whole == (0.0, 2.0)


def test_the_transcript_may_carry_names() -> None:
    segments = join(said(("oui", 0, 1)), [Turn(A, 0, 1)])
    assert transcript(segments, {A: "Léa"}).text == "Léa: oui\n"


def sentences(words: list[Word], turns: list[Turn], language: str | None = None) -> list[str]:
    return [segment.text for segment in group(punctuate(speakers_of(words, turns), language))]


def test_bare_words_become_sentences_at_pauses_and_changes_of_speaker() -> None:
    words = said(("first", 0.0, 0.4), ("we", 0.4, 0.6), ("pack", 0.6, 1.0), ("then", 1.8, 2.0), ("i", 2.0, 2.1),
                 ("ship", 2.1, 2.5), ("good", 2.6, 3.0))  # fmt: skip
    turns = [Turn(A, 0, 2.55), Turn(B, 2.55, 3.0)]
    assert sentences(words, turns, "en") == ["First we pack. Then I ship.", "Good."]


def test_an_engine_that_punctuates_is_left_alone() -> None:
    words = said(("d'abord", 0.0, 0.4), ("ça.", 0.5, 0.9), ("puis", 3.0, 3.4))
    assert sentences(words, [Turn(A, 0, 4)]) == ["d'abord ça.", "puis"]


def test_no_words_no_sentences() -> None:
    assert punctuate([]) == []


def test_the_last_word_of_a_sentence_follows_it_over_the_edge_of_a_turn() -> None:
    words = said(("On", 0.0, 0.3), ("note.", 0.4, 0.8), ("Très", 1.0, 1.3), ("bien.", 1.4, 1.8), ("Merci.", 1.9, 2.3))
    assert shape(words, [Turn(A, 0.0, 0.35), Turn(B, 0.35, 3.0)]) == [(A, "On note."), (B, "Très bien. Merci.")]


def test_the_first_word_of_a_sentence_follows_it_over_the_edge_of_a_turn() -> None:
    words = said(("On", 0.0, 0.3), ("note.", 0.4, 0.8), ("Très", 1.0, 1.3), ("bien.", 1.4, 1.8), ("Merci.", 1.9, 2.3))
    assert shape(words, [Turn(A, 0.0, 1.35), Turn(B, 1.35, 3.0)]) == [(A, "On note."), (B, "Très bien. Merci.")]


def test_an_interruption_in_the_middle_of_a_sentence_stays() -> None:
    words = said(("Je", 0.0, 0.2), ("pense", 0.3, 0.6), ("que", 0.7, 0.9), ("nous", 1.0, 1.3), ("Non,", 1.4, 1.7),
                 ("attendez", 1.8, 2.2), ("un", 2.3, 2.5), ("peu.", 2.6, 3.0))  # fmt: skip
    turns = [Turn(A, 0.0, 1.35), Turn(B, 1.35, 3.1)]
    assert shape(words, turns) == [(A, "Je pense que nous"), (B, "Non, attendez un peu.")]


def test_an_answer_in_the_middle_of_a_sentence_stays() -> None:
    words = said(("Nous", 0.0, 0.3), ("livrons", 0.4, 0.8), ("Oui.", 0.85, 1.15), ("demain", 1.2, 1.6),
                 ("matin.", 1.7, 2.1))  # fmt: skip
    turns = [Turn(A, 0.0, 0.84), Turn(B, 0.84, 1.18), Turn(A, 1.18, 2.2)]
    assert shape(words, turns) == [(A, "Nous livrons"), (B, "Oui."), (A, "demain matin.")]


def test_a_sentence_end_too_far_away_moves_nothing() -> None:
    words = said(("Oui.", 0.0, 0.3), ("Alors", 2.0, 2.3), ("voilà", 2.4, 2.8), ("ce", 2.9, 3.1), ("soir.", 3.2, 3.6))
    assert shape(words, [Turn(A, 0.0, 2.35), Turn(B, 2.35, 4.0)]) == [(A, "Oui. Alors"), (B, "voilà ce soir.")]


def test_a_capital_tells_nothing_where_every_noun_has_one() -> None:
    german = "Der Kunde sagt dem Fahrer der Firma dass die Ware im Lager der Stadt liegt."
    words = spread(german, 0.0, 6.0)
    turns = [Turn(A, 0.0, words[6].start), Turn(B, words[6].start, 6.0)]
    assert [segment.text.split()[0] for segment in join(words, turns)] == ["Der", words[6].word]


def test_an_initial_ends_no_sentence() -> None:
    words = said(("Demandez", 0.0, 0.4), ("à", 0.5, 0.6), ("M.", 0.7, 0.9), ("Roche.", 1.0, 1.4), ("Oui.", 1.6, 1.9))
    assert shape(words, [Turn(A, 0.0, 1.05), Turn(B, 1.05, 2.0)]) == [(A, "Demandez à M. Roche."), (B, "Oui.")]


def test_words_without_sentences_stay_where_their_times_put_them() -> None:
    words = said(("on", 0.0, 0.3), ("note", 0.4, 0.8), ("très", 1.4, 1.7), ("bien", 1.8, 2.2))
    assert shape(words, [Turn(A, 0.0, 0.35), Turn(B, 0.35, 3.0)]) == [(A, "on"), (B, "note très bien")]


def test_no_word_is_lost_or_moved_in_time() -> None:
    talk = converse(3)
    words = heard([word for turn in talk.said for word in turn.words], 0.3, random.Random(1))
    segments = join(words, exclusive(diarized(talk.turns(), 0.5, random.Random(2))))
    assert [word for segment in segments for word in segment.words] == words


def conversations(joiner: object, jitter: float, slack: float, **made: float) -> CpWer:
    total = CpWer(0, 0, 0, 0)
    for seed in range(4):
        rng = random.Random(seed)
        total += on_conversation(converse(seed, **made), joiner, jitter, slack, rng)  # type: ignore[arg-type]
    return total


@pytest.mark.parametrize("jitter", [0.0, 0.1, 0.2, 0.3])
def test_the_join_costs_less_than_a_point_when_one_speaks_at_a_time(jitter: float) -> None:
    assert conversations(join, jitter, 0.0, cut_in=0.0, aside=0.0).rate <= 0.01
    assert conversations(join, jitter, 0.4, cut_in=0.0, aside=0.0).rate <= 0.01


def test_with_interruptions_sentences_halve_what_word_times_alone_cost() -> None:
    joined, plain = conversations(join, 0.2, 0.4), conversations(by_word, 0.2, 0.4)
    assert joined.rate <= 0.06
    assert joined.rate <= 0.6 * plain.rate
    assert conversations(by_segment, 0.2, 0.4).rate > 0.4, "a join of whole segments ruins it"


def test_the_join_adds_nothing_on_a_real_recording(shared_data: object) -> None:
    from bench.join_quality import on_sample, sample

    turns = sample()[2]
    for jitter in (0.0, 0.1, 0.2, 0.3):
        assert on_sample(turns, join, jitter).rate <= 0.01
    assert on_sample(turns, by_segment, 0.0).rate > 0.9
    assert score({"A": ["un"]}, join(said(("Un.", 0, 1)), [Turn(A, 0, 1)])).errors == 0
