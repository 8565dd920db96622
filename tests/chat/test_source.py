"""Each node names the words of the text it comes from."""

import random
import time

import pytest

from chat.diagrams.source import locate

TEXT = (
    "La cliente   envoie sa demande.\nL’agent vérifie le dossier ; si le dossier est complet, il valide la demande, "
    "sinon il renvoie la demande à la cliente. Enfin le système archive le dossier 🚀 et prévient Zoé."
)


def _passages(labels: list[str], text: str = TEXT) -> list[tuple[str, float] | None]:
    return [None if s is None else (text[s.start : s.end], s.score) for s in locate(labels, text)]


def test_copied_labels_are_found_exactly() -> None:
    labels = ["La cliente envoie sa demande", "vérifie le dossier", "le dossier est complet", "archive le dossier 🚀"]
    assert _passages(labels) == [
        ("La cliente   envoie sa demande", 1.0),
        ("vérifie le dossier", 1.0),
        ("le dossier est complet", 1.0),
        ("archive le dossier 🚀", 1.0),
    ]


def test_case_accents_and_apostrophes_cost_a_little() -> None:
    assert _passages(["l'agent verifie", "ZOE"]) == [("L’agent vérifie", 0.98), ("Zoé", 0.98)]


def test_a_repeated_label_takes_its_occurrences_in_turn() -> None:
    starts = [source.start for source in locate(["le dossier", "le dossier", "le dossier"], TEXT) if source]
    assert starts == [TEXT.index("le dossier"), TEXT.index("le dossier est"), TEXT.rindex("le dossier")]


def test_once_all_are_taken_a_repeated_label_is_still_placed() -> None:
    assert [TEXT[s.start : s.end] for s in locate(["Zoé", "Zoé"], TEXT) if s] == ["Zoé", "Zoé"]


def test_the_reading_order_decides_between_occurrences() -> None:
    first, second = locate(["il valide la demande", "la demande"], TEXT)
    assert first is not None
    assert second is not None
    assert second.start > first.end


def test_part_of_a_word_is_not_the_word() -> None:
    assert _passages(["art"], "Le départ de l'art") == [("art", 1.0)]
    assert _passages(["art"], "Le départ") == [None]


@pytest.mark.parametrize(
    ("label", "passage"),
    [
        ("Valider la demande", "valide la demande"),
        ("Archivage du dossier", "archive le dossier"),
        ("Vérification du dossier par l'agent", "L’agent vérifie le dossier"),
        ("Prévenir Zoé", "prévient Zoé"),
    ],
)
def test_a_reworded_label_takes_the_closest_passage(label: str, passage: str) -> None:
    (found,) = _passages([label])
    assert found is not None
    assert found[0] == passage
    assert 0.35 <= found[1] < 0.98


def test_a_label_of_other_words_has_no_source() -> None:
    assert _passages(["Télécharger une facture", "", "!!!"]) == [None, None, None]


def test_an_empty_text_has_no_source() -> None:
    assert locate(["a"], "") == [None]


def test_a_book_is_searched_in_no_time() -> None:
    rng = random.Random(1)
    words = ["".join(rng.choices("aeioulmnrst", k=rng.randint(2, 9))) for _ in range(3000)]
    text = " ".join(rng.choices(words, k=33_000))
    labels = [" ".join(rng.choices(words, k=8)) for _ in range(100)]
    began = time.thread_time()
    locate(labels, text)
    assert time.thread_time() - began < 5


def test_little_words_alone_place_nothing() -> None:
    assert _passages(["le traiteur"]) == [None]
    assert _passages(["la demande de traiteur"]) != [None]
