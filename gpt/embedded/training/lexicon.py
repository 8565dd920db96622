"""Wide vocabulary: word lists and novels turned into verbs, nouns and noun phrases.

A model that sees only a few hundred words never learns to copy an unseen one, so half of the slots come from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from gpt.embedded.training import words_en, words_fr

FR_FEMININE = ("tion", "sion", "té", "ure", "ance", "ence", "ette", "ade", "ise", "ie", "esse", "trice", "ude", "ée")
FR_MASCULINE = ("ment", "age", "eur", "isme", "oir", "ier", "eau", "on", "et", "al", "ard", "teur", "in", "ail", "is")
NOUN_PHRASE = re.compile(
    r"\b(?:le|la|les|un|une|des|son|sa|ses|ce|cette|leur|l') ?[a-zàâçéèêëîïôûùœ]{3,}"
    r"(?: (?:de la|de|du|des|d'|à|aux?|en|et) ?(?:la |l')?[a-zàâçéèêëîïôûùœ]{3,}| [a-zàâçéèêëîïôûùœ]{4,})?"
)


@dataclass(frozen=True)
class FrenchVerb:
    infinitive: str
    present: str
    imperative: str
    participle: str
    future: str
    nominal: str  # "la vérification", or "" when there is none


@dataclass(frozen=True)
class EnglishVerb:
    base: str
    third: str
    past: str
    participle: str
    ing: str


@dataclass
class Wide:
    """What the word lists gave for one language; every list may be empty when its source is absent."""

    verbs: list[FrenchVerb] = field(default_factory=list)
    english_verbs: list[EnglishVerb] = field(default_factory=list)
    masculine: list[str] = field(default_factory=list)
    feminine: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    nouns: list[str] = field(default_factory=list)
    adjectives: list[str] = field(default_factory=list)
    phrases: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def regular_verb(infinitive: str, nominal: str = "") -> FrenchVerb:
    """Conjugate a regular French -er verb (spelling changes of -ger/-cer only in forms that we do not use)."""
    stem = infinitive[:-2]
    return FrenchVerb(infinitive, stem + "e", stem + "ez", stem + "é", infinitive + "a", nominal)


def english_regular(base: str) -> EnglishVerb:
    if base.endswith("e"):
        return EnglishVerb(base, base + "s", base + "d", base + "d", base[:-1] + "ing")
    if base.endswith("y") and base[-2] not in "aeiou":
        return EnglishVerb(base, base[:-1] + "ies", base[:-1] + "ied", base[:-1] + "ied", base + "ing")
    third = base + ("es" if base.endswith(("s", "x", "ch", "sh", "z")) else "s")
    return EnglishVerb(base, third, base + "ed", base + "ed", base + "ing")


@lru_cache
def french_core_verbs() -> list[FrenchVerb]:
    found = []
    for line in words_fr.IRREGULAR.splitlines():
        inf, pres, imp, part, fut, nom = line.split()
        found.append(FrenchVerb(inf, pres, imp, part, fut, "" if nom == "-" else nom.replace("-", " ")))
    for item in words_fr.REGULAR.split():
        inf, nom = item.split(":", 1)
        if inf.endswith("er"):
            found.append(regular_verb(inf, "" if nom == "-" else re.sub(r"^(la|le)-", r"\1 ", nom)))
    return found


@lru_cache
def english_core_verbs() -> list[EnglishVerb]:
    found = [EnglishVerb(*line.split()) for line in words_en.IRREGULAR.splitlines()]
    return found + [english_regular(base) for base in words_en.REGULAR]


@lru_cache
def french_core_nouns() -> tuple[list[str], list[str]]:
    masculine, feminine = words_fr.OBJECTS.split("f:")
    return (
        [word.replace("-", " ") if word.count("-") > 1 else word for word in masculine.replace("m:", "").split()],
        [word.replace("-", " ") if word.count("-") > 1 else word for word in feminine.split()],
    )


def _frequent(language: str, count: int) -> list[str]:
    try:
        from wordfreq import top_n_list
    except ImportError:
        return []
    return list(top_n_list(language, count))


def _dictionary(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").split()) if path.is_file() else set()


def french_wide(dictionary: Path, corpus: Path | None) -> Wide:
    known = _dictionary(dictionary)
    wide = Wide()
    frequent = [word for word in _frequent("fr", 80_000) if word.isalpha() and len(word) > 2]
    wide.words = [word for word in frequent if not known or word in known]
    for word in wide.words:
        stem = word[:-2]
        if word.endswith("er") and len(word) > 4 and {stem + "e", stem + "ez", stem + "é", word + "a"} <= known:
            wide.verbs.append(regular_verb(word))
    stems = {verb.infinitive[:-2] for verb in wide.verbs}
    for word in wide.words:
        if len(word) < 5 or word.endswith("s") or word[:-1] in stems or word[:-2] in stems or word + "s" not in known:
            continue
        if word.endswith(FR_FEMININE):
            wide.feminine.append(word)
        elif word.endswith(FR_MASCULINE):
            wide.masculine.append(word)
            if word.endswith(("teur", "ier", "iste", "ien", "eur")):
                wide.agents.append(word)
        elif word.endswith(("iste", "ien", "logue")):
            wide.agents.append(word)
        elif word.endswith(("able", "ible", "if", "ique", "eux")):
            wide.adjectives.append(word)
    if corpus is not None and corpus.is_dir():
        text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(corpus.glob("*.txt")))
        text = text.replace("’", "'").replace("\n", " ")
        wide.phrases = [phrase for phrase in set(NOUN_PHRASE.findall(text)) if 6 < len(phrase) < 40]
        wide.phrases.sort()
        wide.sentences = [
            sentence
            for sentence in re.findall(r"(?<=[.!?] )[A-ZÉÀ][^.!?;:\"«»()\-]{20,90}[.]", text)
            if "--" not in sentence
        ]
    return wide


def english_wide(dictionary: Path) -> Wide:
    known = _dictionary(dictionary)
    wide = Wide()
    frequent = [word for word in _frequent("en", 60_000) if word.isalpha() and word.isascii() and len(word) > 2]
    wide.words = [word for word in frequent if not known or word in known]
    for word in wide.words:
        verb = english_regular(word)
        if len(word) > 3 and {verb.third, verb.past, verb.ing} <= known:
            wide.english_verbs.append(verb)
        if len(word) > 3 and word + "'s" in known and word + "s" in known:
            (wide.agents if word.endswith(("er", "or", "ist", "ian")) else wide.nouns).append(word)
        elif word.endswith(("able", "ible", "ive", "ful", "ous", "al")):
            wide.adjectives.append(word)
    return wide
