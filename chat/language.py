"""French or English? Told by the little words of each, which is enough to choose a prompt and headings."""

import re
from typing import Literal

Language = Literal["fr", "en"]

_FRENCH = """le la les un une des du de et est sont dans pour que qui ne pas sur avec au aux ce cette il elle nous vous
on si par plus puis où donc mais ou sa son ses leur se être doit fait alors oui non"""
_ENGLISH = """the a an of and is are in for that who which not on with to this it he she we you if by then where so but
or his her their be must will does when yes no from as at has have was were"""
_FRENCH_WORDS = frozenset(_FRENCH.split())
_ENGLISH_WORDS = frozenset(_ENGLISH.split())
_WORD = re.compile(r"[a-zà-öø-ÿœ]+", re.I)


def detect(text: str) -> Language:
    """The language of `text` (its first 20,000 characters); French when nothing tells."""
    words = [word.lower() for word in _WORD.findall(text[:20_000])]
    french = sum(word in _FRENCH_WORDS for word in words) + sum(not word.isascii() for word in words)
    english = sum(word in _ENGLISH_WORDS for word in words)
    return "en" if english > french else "fr"
