"""Subtitles that can be read: what must hold for any words, and what good typography asks."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from common.speech.cues import Cue, Passage, cues
from common.speech.subtitles import srt, vtt
from common.speech.words import Word

CLOCK = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d)[,.](\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)[,.](\d{3})")
FRENCH = "Nous avons terminé la maquette , elle sera livrée lundi . Pourquoi pas avant ? « Impossible ! » dit Anne ."


def spoken(text: str, start: float = 0.0, per_char: float = 0.06, pause: float = 0.05) -> list[Word]:
    """The words of a text at an even pace."""
    words, at = [], start
    for token in text.split():
        words.append(Word(token, round(at, 3), round(at + per_char * len(token), 3)))
        at += per_char * len(token) + pause
    return words


def lines_of(made: list[Cue]) -> list[str]:
    return [line for cue in made for line in cue.lines]


def random_words(chance: random.Random) -> list[Word]:
    """Anything a model may give: long words, lone punctuation, equal times, overlaps, pauses, words of no length."""
    tokens = ["oui", "la", "reconnaissance", "!", "?", "»", "«", ";", "x" * 60, "fin.", "alors,", "<b>", "&", "1", "—"]
    words, at = [], chance.choice([0.0, 3.3, 360_000.0])
    for _number in range(chance.randrange(1, 120)):
        long = chance.choice([0.0, 0.1, 0.3, 0.8, 9.0])
        words.append(Word(chance.choice(tokens), at, at + long))
        at += chance.choice([0.0, 0.1, long, long, long + 0.3, long + 5.0])
    return words


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_words_every_cue_can_be_read(seed: int) -> None:
    chance = random.Random(seed)
    labels = [None, "A", "Bénédicte", "Une personne au nom bien long"]
    passages = [Passage(random_words(chance), chance.choice(labels)) for _passage in range(chance.randrange(1, 4))]
    made = cues(passages)
    assert made
    for cue in made:
        assert 0 < cue.end - cue.start <= 7.0005
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < len(line) <= 42 and line == line.strip() for line in cue.lines)
    assert all(before.end <= after.start for before, after in itertools.pairwise(made))
    said = sorted("".join("".join(word.word for word in passage.words) for passage in passages))
    assert sorted(re.sub(r"\s", "", "".join(lines_of(made)))) == said
    for text in (srt(passages), vtt(passages)):
        assert text.count("-->") == len(made)
        assert len(CLOCK.findall(text)) == len(made)
        assert "\n\n\n" not in text
        bodies = [block.split("\n") for block in text.removeprefix("WEBVTT\n\n").strip("\n").split("\n\n")]
        assert len(bodies) == len(made)
        shortest = 2 if text.startswith("WEBVTT") else 3
        assert all(shortest <= len(body) <= shortest + 1 for body in bodies)
    for body in srt(passages).split("\n\n"):
        assert all(len(line) <= 42 for line in body.strip().split("\n")[2:])


def test_a_sentence_stays_whole_and_a_short_one_joins_its_neighbour() -> None:
    made = cues(
        [Passage(spoken("Oui. Je le ferai demain matin avec Paul. La suite du projet nous occupera vendredi."))]
    )
    assert [cue.text.replace("\n", " ") for cue in made] == [
        "Oui. Je le ferai demain matin avec Paul.",
        "La suite du projet nous occupera vendredi.",
    ]


def test_a_long_sentence_is_cut_at_its_commas() -> None:
    text = (
        "Quand le prototype sera prêt et que tout le monde l'aura essayé, nous déciderons ensemble de la suite à "
        "donner, sans rien précipiter."
    )
    made = cues([Passage(spoken(text, per_char=0.04))])
    assert len(made) == 2
    assert made[0].text.endswith("essayé,")


def test_the_two_lines_are_even_and_no_article_hangs() -> None:
    (cue,) = cues([Passage(spoken("Le comité a validé la feuille de route de la nouvelle année."))])
    assert cue.lines == ("Le comité a validé la feuille", "de route de la nouvelle année.")


def test_punctuation_stays_with_what_it_belongs_to() -> None:
    made = cues([Passage(spoken(" ".join([FRENCH] * 6)))])
    assert len(made) > 6
    assert not [line for line in lines_of(made) if re.match(r"[;:!?»,.]", line) or line.endswith("«")]
    joined = " ".join(lines_of(made))
    assert "avant\N{NO-BREAK SPACE}?" in joined
    assert "«\N{NO-BREAK SPACE}Impossible\N{NO-BREAK SPACE}!\N{NO-BREAK SPACE}»" in joined
    assert "maquette, elle" in joined


def test_what_is_quoted_in_the_midst_of_a_sentence_does_not_end_it() -> None:
    made = cues([Passage(spoken("« Rien avant le printemps ! » répondit la directrice, très fâchée ce matin."))])
    assert len(made) == 1


@pytest.mark.parametrize("title", ["M.", "Mme.", "Dr.", "J."])
def test_an_abbreviation_ends_no_sentence(title: str) -> None:
    (cue,) = cues([Passage(spoken(f"Nous avons reçu hier la visite de {title} Martin et de toute son équipe."))])
    assert len(cue.lines) == 2


def test_a_pause_ends_a_cue_where_nothing_is_punctuated() -> None:
    words = [*spoken("and so my fellow americans"), *spoken("ask not what your country can do", start=4.0)]
    made = cues([Passage(words)])
    assert [cue.text for cue in made] == ["and so my fellow americans", "ask not what your country can do"]
    assert made[0].end < 4.0, "a subtitle does not stay during a silence"


def test_a_short_cue_stays_long_enough_to_be_read() -> None:
    (cue,) = cues([Passage([Word("Oui.", 1.0, 1.1)])])
    assert (cue.start, cue.end) == (1.0, 2.0)


def test_speakers_who_talk_at_once_give_cues_one_after_the_other() -> None:
    made = cues([Passage(spoken("je disais donc que tout va bien"), "A"), Passage(spoken("oui", start=0.5), "B")])
    assert [cue.label for cue in made] == ["A", "B"]
    assert made[0].end == made[1].start


def test_who_speaks_is_said_in_both_formats() -> None:
    passages = [Passage([Word("Bonjour.", 0.0, 0.5)], "Anne <3>"), Passage([Word("Salut.", 2.0, 2.5)], "B")]
    assert srt(passages) == (
        "1\n00:00:00,000 --> 00:00:01,000\n[Anne <3>] Bonjour.\n\n2\n00:00:02,000 --> 00:00:03,000\n[B] Salut.\n"
    )
    assert vtt(passages) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n<v Anne &lt;3&gt;>Bonjour.\n\n"
        "00:00:02.000 --> 00:00:03.000\n<v B>Salut.\n"
    )


def test_the_hundredth_hour_and_markup() -> None:
    passages = [
        Passage([Word("a", 359_999.9996, 360_001.0), Word("<i>", 360_001.0, 360_001.2), Word("&", 360_001.2, 360_002)])
    ]
    assert srt(passages) == "1\n100:00:00,000 --> 100:00:02,000\na <i> &\n"
    assert vtt(passages) == "WEBVTT\n\n100:00:00.000 --> 100:00:02.000\na &lt;i&gt; &amp;\n"


def test_no_words_give_an_empty_file() -> None:
    assert srt([Passage([])]) == ""
    assert vtt([]) == "WEBVTT\n"


def test_three_hours_are_cut_quickly_enough_to_be_tested() -> None:
    words = [word for hour in range(3) for word in spoken(" ".join([FRENCH] * 250), start=3600.0 * hour)]
    assert len(words) > 15_000
    assert len(cues([Passage(words)])) > 1000
