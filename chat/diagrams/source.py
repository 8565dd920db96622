"""Where each label comes from in the given text: exact where it was copied, the best match where it was reworded.

Labels are placed in their order. A label found several times takes its successive occurrences; one that was reworded
takes the passage that shares the most words (by their first letters, so that "valide" answers "valider").
"""

import re
import unicodedata
from bisect import bisect_right
from collections import Counter, defaultdict
from difflib import SequenceMatcher

from chat.diagrams.labels import Source

LEAST_SCORE = 0.35
STEM = 4
MAX_POSITIONS = 400  # of one stem: a word that is everywhere places nothing
_WORD = re.compile(r"\w+")


class _Text:
    """A text folded for search (case, accents, white space and apostrophes aside), with the offsets of the original."""

    def __init__(self, text: str) -> None:
        folded: list[str] = []
        offsets: list[int] = []
        for index, char in enumerate(text):
            for piece in _fold_char(char):
                if piece == " " and folded[-1:] == [" "]:
                    continue
                folded.append(piece)
                offsets.append(index)
        self.original = text
        self.folded = "".join(folded)
        self.offsets = offsets
        self.words = [found.span() for found in _WORD.finditer(self.folded)]
        self.stems = [_stem(self.folded[a:b]) for a, b in self.words]
        self.places: dict[str, list[int]] = defaultdict(list)
        for index, stem in enumerate(self.stems):
            self.places[stem].append(index)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the original of a span of the folded text."""
        return self.offsets[start], self.offsets[end - 1] + 1


def locate(labels: list[str], text: str, *, least: float = LEAST_SCORE) -> list[Source | None]:
    """The source of each label in `text`, None where nothing in it resembles the label (a score of `least`)."""
    searched = _Text(text)
    used: dict[str, int] = defaultdict(int)  # folded label → where its last occurrence ended
    cursor = 0  # labels are mostly in reading order: the first occurrence after the last one placed is preferred
    found: list[Source | None] = []
    for label in labels:
        folded = _fold(label)
        span = _exact(folded, searched, used[folded], cursor) if folded else None
        if span is not None:
            used[folded] = cursor = span[1]
            start, end = searched.span(*span)
            found.append(Source(start=start, end=end, score=_exact_score(label, text[start:end])))
        else:
            found.append(_closest(folded, searched, least))
    return found


def _exact(label: str, text: _Text, used: int, cursor: int) -> tuple[int, int] | None:
    """The label as whole words: after its own last occurrence and the cursor, else after the first, else anywhere."""
    for begin in (max(used, cursor), used, 0):
        at = text.folded.find(label, begin)
        while at >= 0:
            if _whole(text.folded, at, at + len(label)):
                return at, at + len(label)
            at = text.folded.find(label, at + 1)
    return None


def _whole(text: str, start: int, end: int) -> bool:
    before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    after = end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
    return not before and not after


def _exact_score(label: str, passage: str) -> float:
    """1 when only white space differs; a little less when case, accents or apostrophes do."""
    return 1.0 if " ".join(label.split()) == " ".join(passage.split()) else 0.98


def _closest(label: str, text: _Text, least: float) -> Source | None:
    """The passage sharing the most of the label's words, weighted by how rare they are in the text."""
    wanted = Counter(_stem(word) for word in _WORD.findall(label))
    weights = {s: 1 / len(text.places[s]) ** 0.5 for s in wanted if 0 < len(text.places.get(s, ())) <= MAX_POSITIONS}
    telling = {stem for stem in wanted if len(stem) >= STEM or stem.isdigit()}
    if not weights or (telling and not telling & set(weights)):  # « le », « de » place nothing
        return None
    width = 2 * sum(wanted.values()) + 2
    places = sorted(place for stem in weights for place in text.places[stem])
    best = max(_windows(places, width), key=lambda window: _weight(window, places, text, weights))
    first, last = _trim(places[best[0] : best[1]], text, weights)
    start, end = text.words[first][0], text.words[last][1]
    score = _resemblance(label, wanted, text.folded[start:end], text.stems[first : last + 1])
    if score < least:
        return None
    begin, stop = text.span(start, end)
    return Source(start=begin, end=stop, score=round(score, 2))


def _windows(places: list[int], width: int) -> list[tuple[int, int]]:
    """For each place, the slice of `places` less than `width` words after it."""
    return [(i, bisect_right(places, place + width - 1)) for i, place in enumerate(places)]


def _weight(window: tuple[int, int], places: list[int], text: _Text, weights: dict[str, float]) -> float:
    inside = places[window[0] : window[1]]
    spread = (inside[-1] - inside[0] + 1) / 1000  # among equals, the tightest
    return sum(weights[stem] for stem in {text.stems[place] for place in inside}) - spread


def _trim(places: list[int], text: _Text, weights: dict[str, float]) -> tuple[int, int]:
    """The shortest run of `places` that still holds every stem they hold."""
    needed = {text.stems[place] for place in places} & set(weights)
    best = (places[0], places[-1])
    seen: Counter[str] = Counter()
    left = 0
    for right, place in enumerate(places):
        seen[text.stems[place]] += 1
        while all(seen[stem] for stem in needed):
            if places[right] - places[left] < best[1] - best[0]:
                best = (places[left], places[right])
            seen[text.stems[places[left]]] -= 1
            left += 1
    return best


def _resemblance(label: str, wanted: Counter[str], passage: str, stems: list[str]) -> float:
    """Half the words in common (F1), half the letters in common; never a certainty."""
    common = sum((wanted & Counter(stems)).values())
    words = 2 * common / (sum(wanted.values()) + len(stems))
    letters = SequenceMatcher(None, label, passage, autojunk=False).ratio()
    return min(0.97, (words + letters) / 2)


def _stem(word: str) -> str:
    return word[:STEM]


def _fold(text: str) -> str:
    return " ".join("".join(_fold_char(char) for char in text).split())


def _fold_char(char: str) -> str:
    """Lower case without accents; any white space is a space, any apostrophe or quote the plain one."""
    if char.isascii():
        return " " if char.isspace() else char.lower()
    if char.isspace():
        return " "
    if char in "’ʼ‘":
        return "'"
    return "".join(c for c in unicodedata.normalize("NFKD", char.casefold()) if not unicodedata.combining(c))
