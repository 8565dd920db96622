"""What successive parts of a meeting say twice is kept once; summaries are cut to what says the most."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain
from typing import TypeVar

from chat.diagrams.tidy import fold
from chat.minutes.shape import Action, Item, Minutes, Point

MAX_KEPT = 200  # of each list: nobody reads more
SAME = 0.88  # two sentences whose letters resemble each other more say the same
SAME_WORDS = 0.7  # and so do two that share this much of their words
WORTH_COMPARING = 0.35
STEM = 5
_LITTLE_WORDS = """
le la les l d s c qu un une des du de et est sont dans pour que qui sur avec au aux ce cette il elle on nous vous ils
elles leur leurs se en par plus son sa ses a ont sera seront etre faire the a an of and is are in for that who which on
with to this it he she we you they their be will was were our has have
"""
_DENYING = "ne pas n jamais aucun aucune sans not no never don t won without"
_LITTLE, _DENIALS = frozenset(_LITTLE_WORDS.split()), frozenset(_DENYING.split())
T = TypeVar("T", bound=Item)


@dataclass(frozen=True)
class _Said:
    """A sentence as it is compared."""

    folded: str
    stems: frozenset[str]
    facts: frozenset[str]  # its numbers, and whether it denies: sentences that differ by these differ

    @classmethod
    def of(cls, text: str) -> _Said:
        folded = fold(text) or text.strip()
        words = folded.split()
        numbers = {word for word in words if any(char.isdigit() for char in word)}
        stems = {word[:STEM] for word in words if word not in _LITTLE}
        return cls(folded, frozenset(stems), frozenset(numbers | ({"not"} if _DENIALS & set(words) else set())))

    def same(self, other: _Said) -> bool:
        if self.folded == other.folded:
            return True
        if self.facts != other.facts:
            return False
        either = len(self.stems | other.stems)
        alike = len(self.stems & other.stems) / either if either else 0.0
        if alike >= SAME_WORDS and len(self.stems & other.stems) > 1:
            return True
        if alike < WORTH_COMPARING:
            return False
        matcher = SequenceMatcher(None, self.folded, other.folded, autojunk=False)
        return matcher.real_quick_ratio() > SAME and matcher.quick_ratio() > SAME and matcher.ratio() > SAME


def unique(items: Sequence[T]) -> list[T]:
    """`items` without those that repeat an earlier one; what a repetition adds (who, when, a source) is kept."""
    kept: list[tuple[_Said, T]] = []
    for item in items:
        said = _Said.of(item.said)
        known = next((old for before, old in kept if before.same(said) and _compatible(old, item)), None)
        if known is not None:
            absorb(known, item)
        elif len(kept) < MAX_KEPT:
            kept.append((said, item))
    return [item for _said, item in kept]


def may_be_same(one: Item, other: Item) -> bool:
    """Whether a model that says that two items are one may be believed: they share a word, and deny no fact."""
    a, b = _Said.of(one.said), _Said.of(other.said)
    return bool(a.stems & b.stems) and a.facts == b.facts and _compatible(one, other)


def absorb(known: Item, again: Item) -> None:
    """Take from a repetition what the first mention lacks."""
    if isinstance(known, Action) and isinstance(again, Action):
        known.who = known.who or again.who
        known.when = known.when or again.when
    if known.source is None:
        known.source, known.seconds = again.source, again.seconds


def _compatible(one: Item, other: Item) -> bool:
    """Whether two actions may be one: nobody else does it, at no other time."""
    if not (isinstance(one, Action) and isinstance(other, Action)):
        return True
    who, when = (fold(one.who), fold(other.who)), (fold(one.when), fold(other.when))
    return all(not a or not b or a == b or a in b or b in a for a, b in (who, when))


def merge(parts: Sequence[Minutes]) -> Minutes:
    """One set of minutes of those of successive parts; the summary is theirs, end to end."""
    points = unique([Point(text=text) for part in parts for text in sentences(part.summary)])
    return Minutes(
        summary=" ".join(point.text for point in points),
        decisions=unique([item for part in parts for item in part.decisions]),
        actions=unique([item for part in parts for item in part.actions]),
        open_points=unique([item for part in parts for item in part.open_points]),
    )


def essential(summary: str, most: int) -> str:
    """At most `most` sentences of a summary, in their order: those that say the most of what the others say too."""
    told = list(dict.fromkeys(sentences(summary)))
    if len(told) <= most:
        return " ".join(told)
    stems = [{stem for stem in _Said.of(text).stems if len(stem) > 3} for text in told]
    weights = Counter(chain.from_iterable(stems))
    chosen: set[int] = set()
    covered: set[str] = set()
    while len(chosen) < most:
        left = [index for index in range(len(told)) if index not in chosen]
        best = max(left, key=lambda i: sum(weights[s] for s in stems[i] - covered) / (8 + len(stems[i])))
        chosen.add(best)
        covered |= stems[best]
    return " ".join(told[index] for index in sorted(chosen))


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return [sentence for sentence in re.split(r"(?<=[.!?…])\s+", text) if sentence]
