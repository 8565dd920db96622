"""Text as a search sees it, on every database alike: without accents, nor case, nor ligatures."""

from __future__ import annotations

import re
import unicodedata

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "’": "'"})
_ACCENTS = re.compile(r"[\u0300-\u036f]+")
_FAR = re.compile(r"[\u0370-\u1fff\u20d0-\u20ff\u2c00-\U0010ffff]")
"""Where letters may bear other marks than Europe's accents."""
_BEFORE, _AFTER = 40, 100
_BLOCK, _OVERLAP = 4000, 250


def folded(text: str) -> str:
    """`text` in small letters without accents: « Élève » → « eleve »."""
    if text.isascii():
        return text.lower()
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold()).translate(_LIGATURES)
    if not _FAR.search(plain):
        return plain
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def excerpt(text: str, words: list[str]) -> str:
    """The part of `text` around the first place where it has one of the `words` (folded), on one line."""
    start = next((place for first in range(0, len(text), _BLOCK) if (place := _place(text, first, words)) >= 0), 0)
    first, last = max(0, start - _BEFORE), start + _AFTER
    shown = " ".join(text[first:last].split())
    return f"{'…' if first > 0 else ''}{shown}{'…' if last < len(text) else ''}"


def _place(text: str, first: int, words: list[str]) -> int:
    """Where one of the words is in a block of `text` that begins at `first`; -1 when none is."""
    block = text[first : first + _BLOCK + _OVERLAP]
    whole = folded(block)
    places = [place for word in words if (place := whole.find(word)) >= 0]
    if not places:
        return -1
    left = min(places)
    for number, letter in enumerate(block):  # back from a place of the folded text to one of `text`
        width = len(folded(letter))
        if left < width:
            return first + number
        left -= width
    return first
