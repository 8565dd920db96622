"""Messages: French in the code, English on request, negotiated by Accept-Language."""

from __future__ import annotations

import pytest

from common.messages import Text, _, best_language, gigabytes


def test_french_is_what_the_code_says() -> None:
    assert str(_("Modèle inconnu : « %(model)s ». Modèles connus : %(known)s.", model="x", known="a")).startswith(
        "Modèle inconnu : « x »"
    )


def test_english_comes_from_the_catalogue() -> None:
    assert _("Cette adresse n'existe pas.").render("en") == "This address does not exist."


def test_text_inside_a_text_is_rendered_in_the_same_language() -> None:
    outer = _("Champ « %(field)s » refusé : %(reason)s.", field="model", reason=_("ce champ est obligatoire"))
    assert outer.render("en") == "Field “model” refused: this field is required."


def test_a_list_is_joined_in_the_readers_language() -> None:
    known = [_("ce champ est obligatoire"), "gpt2"]
    outer = _("Modèle inconnu : « %(model)s ». Modèles connus : %(known)s.", model="x", known=known)
    assert outer.render("en").endswith("this field is required, gpt2.")


def test_a_message_without_translation_stays_french() -> None:
    assert Text("Phrase sans traduction").render("en") == "Phrase sans traduction"


def test_percent_sign_without_parameters_is_kept() -> None:
    assert str(_("100 % local")) == "100 % local"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "fr"),
        ("", "fr"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("de,en;q=0.5,fr;q=0.4", "en"),
        ("de", "fr"),
        ("en;q=pas-un-nombre", "fr"),
        ("*", "fr"),
    ],
)
def test_best_language(header: str | None, language: str) -> None:
    assert best_language(header) == language


def test_figures_take_the_readers_decimals() -> None:
    text = _("il en reste %(free)s Go", free=gigabytes(322_000_000))
    assert str(text) == "il en reste 0,32 Go"
    assert text.render("en").endswith("0.32 Go")
    assert [str(gigabytes(size)) for size in (5_000_000, 1_500_000_000, 62_900_000_000)] == ["0,005", "1,50", "62,9"]
