"""Which languages a model can write, told by its vocabulary.

NVIDIA's checkpoints do not name their languages: a Parakeet says nothing, and a Canary has tokens for 180 of them
that it was never trained on. What they can write is bounded by the letters they know.
"""

from __future__ import annotations

from collections.abc import Iterable

# Letters beside a-z that a language's spelling cannot do without; those of Canary 1B v2 and Parakeet TDT v3.
_LETTERS = {
    "bg": "абвгдежзийклмнопрстуфхцчшщъьюя",
    "cs": "áčďéěíňóřšťúůýž",
    "da": "æøå",
    "de": "äöüß",
    "el": "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώ",
    "en": "",
    "es": "áéíóúñ",
    "et": "äöõü",
    "fi": "äö",
    "fr": "àâçèéêîôùû",
    "hr": "čćđšž",
    "hu": "áéíóöőúüű",
    "it": "àèéìòù",
    "lt": "ąčęėįšųūž",
    "lv": "āčēģīķļņšūž",
    "mt": "ċġħż",
    "nl": "éëï",
    "pl": "ąćęłńóśźż",
    "pt": "áâãçéêíóôõú",
    "ro": "ăâî",
    "ru": "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "sk": "áäčďéíľňóôšťúýž",
    "sl": "čšž",
    "sv": "åäö",
    "uk": "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",
}
EUROPEAN = frozenset(_LETTERS)
_LATIN = frozenset("abcdefghijklmnopqrstuvwxyz")
_OWN_SCRIPT = frozenset({"bg", "el", "ru", "uk"})


def spelled(vocabulary: Iterable[str]) -> frozenset[str]:
    """The European languages whose letters are all in `vocabulary` (tokens, in any form); ISO 639-1."""
    letters = frozenset("".join(vocabulary).lower())
    latin = letters >= _LATIN
    return frozenset(
        language for language, own in _LETTERS.items() if letters.issuperset(own) and (latin or language in _OWN_SCRIPT)
    )
